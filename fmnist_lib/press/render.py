"""Export an executed notebook as an article: self-contained HTML, or PDF through Typst.

The numbers are the article's own (`article`, `typeset`); the templates only lay out.
"""

import sys
import tempfile
from pathlib import Path

import typst
from nbconvert.exporters import TemplateExporter
from traitlets import List, Unicode, default
from traitlets.config import Config

from fmnist_lib import UserError, short
from fmnist_lib.press.article import compose
from fmnist_lib.press.typeset import quoted, typeset


class ArticleExporter(TemplateExporter):
    """Set a notebook by one of the templates beside this file."""

    language = Unicode(help="en or es; else the notebook's parameter `language`").tag(config=True)
    extra_template_basedirs = List([str(Path(__file__).parent / "templates")]).tag(config=True)
    to = "html5"

    def default_filters(self):
        yield from super().default_filters()
        yield "article", self.article
        yield "quote", quoted

    def article(self, nb, name: str) -> dict:
        """Read and set a notebook of that name in its language."""
        parameters = nb.metadata.get("papermill", {}).get("parameters", {})
        try:
            article = typeset(compose(nb, self.language or parameters.get("language", "en"), f"{name}.ipynb"), self.to)
        except RecursionError as error:
            raise UserError("the notebook's Markdown or tables are nested too deep", "write them flatter") from error
        self.dated = bool(article["day"])
        return article


class ArticleHTMLExporter(ArticleExporter):
    """Export a self-contained HTML article: MathML, inline figures, no script, no network."""

    export_from_notebook = "Article (HTML)"
    output_mimetype = "text/html"
    file_extension = Unicode(".html").tag(config=True)
    template_name = Unicode("article_html").tag(config=True, affects_template=True)


class ArticlePDFExporter(ArticleExporter):
    """Export a two-column PDF article through Typst."""

    export_from_notebook = "Article (PDF)"
    output_mimetype = "application/pdf"
    file_extension = Unicode(".pdf").tag(config=True)
    template_name = Unicode("article_typst").tag(config=True, affects_template=True)
    template_extension = Unicode(".typ.j2").tag(config=True, affects_environment=True)
    to = "typst"

    @property
    def default_config(self):
        return Config({"ExtractOutputPreprocessor": {"enabled": True}})  # figures as files beside the source

    def from_notebook_node(self, nb, resources=None, **kw) -> tuple[bytes, dict]:
        """Write the Typst source with its figures into a folder of its own, and compile it."""
        source, resources = super().from_notebook_node(nb, resources, **kw)
        with tempfile.TemporaryDirectory() as folder:
            for name, data in resources.pop("outputs", {}).items():
                (Path(folder) / Path(name).name).write_bytes(data)
            main = Path(folder, "article.typ")
            main.write_text(source, "utf-8")
            standards = ["ua-1", *(["a-2a"] if self.dated else [])]  # for ears, and for archives, which want a date
            try:
                return typst.compile(main, ignore_system_fonts=True, pdf_standards=standards), resources
            except RuntimeError as error:
                raise UserError(f"typst: {short(error)}", "correct the notebook that is set") from error


class _Hyphenated(ArticleExporter):
    """Keep a name with a hyphen for the command line, out of the server's menu, whose route knows no hyphen."""

    @default("enabled")
    def _enabled(self) -> bool:
        return "jupyter_server" not in sys.modules


class HyphenatedHTMLExporter(_Hyphenated, ArticleHTMLExporter):
    """Export HTML under the name fmnist-html."""


class HyphenatedPDFExporter(_Hyphenated, ArticlePDFExporter):
    """Export PDF under the name fmnist-pdf."""

"""Read YAML as people mean it, by the core schema of YAML 1.2: nothing in it can grow, run code or be said twice."""

import re

import yaml

MOST = 20_000  # characters; a params file has some hundreds
DEEPEST = 5
SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}  # all else is text: yes, 1:30, 1_000, 2022-06-01


class _Plain(yaml.SafeLoader):
    """Refuse tags, anchors, aliases, names that come twice and depth; read scalars as `SCALARS` says."""

    yaml_implicit_resolvers, depth = {}, 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if event.anchor or getattr(event, "tag", None):
            raise yaml.YAMLError(f"tags, anchors and aliases are not read, line {event.start_mark.line + 1}")
        if self.depth >= DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} levels are not read, line {event.start_mark.line + 1}")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node, deep=False):
        made, names = super().construct_mapping(node, deep), [key.value for key, _ in node.value]
        if len(made) < len(names):
            raise yaml.YAMLError(f"{max(names, key=names.count)!r} is there twice, line {node.start_mark.line + 1}")
        return made

    def whole(self, node) -> int:
        """Read 010 as ten."""
        return int(node.value, {"0o": 8, "0x": 16}.get(node.value[:2], 10))


for _name, _pattern in SCALARS.items():
    _Plain.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), None)
_Plain.add_constructor("tag:yaml.org,2002:int", _Plain.whole)


def load(text: str):
    """Return what a text says: None, a bool, number, text, or a list or dict of them; YAMLError or ValueError."""
    if len(text) > MOST:
        raise yaml.YAMLError(f"{len(text):,} characters are more than {MOST:,}")
    return _Plain(text).get_single_data()

"""Numbers into pages: figures, tables and sentences as a notebook shows them, and the article that is made of them.

language, locale/                       words and numbers: English in the code, a catalogue for any other
figures, charts, intervals, specification, diagrams, tables     what a notebook shows
drawing, display                        a figure as bytes; figures and tables in a cell, captioned, with their data
article, typeset, formulas, render, templates/      an executed notebook as HTML and PDF
"""

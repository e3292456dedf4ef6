"""Numbers into pages: figures, tables and sentences as a notebook shows them, and the article that is made of them."""

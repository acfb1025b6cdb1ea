"""How many clusters? The computation behind the book.

One road, and imports run one way along it: ``parameters``, ``cache``, ``datasets``, ``embeddings``, ``reduction``,
``sweep``, ``silhouette``, ``criteria``, ``plots``, ``notebooks``.
"""

"""How many clusters? The computation behind the book.

One road, and imports run one way along it: the modules, in order, are `helpers.cache.ROAD`.
"""

import warnings

# timm and umap import tqdm.auto, which asks for widgets; the progress bars of this project are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

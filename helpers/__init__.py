"""How many clusters? The computation behind the book.

One road, and imports run one way along it: ``parameters``, ``cache``, ``scheduling``, ``images``,
``torchvision_sets``, ``datasets``, ``backbones``, ``embeddings``, ``reduction``, ``sweep``, ``distances``,
``silhouette``, ``references``, ``curves``, ``verdict``, ``criteria``, ``plots``, ``explorer``, ``notebooks``.
"""

import warnings

# timm and umap import tqdm.auto, which asks for widgets; the progress bars of this project are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

"""How many clusters? The computation behind the book.

Parameters name images, images become features, features clusterings, clusterings numbers, and numbers a verdict;
comparing asks what the verdict depends on, trials judge the criteria, figures draw, and pages tell. Imports run one way
along the wings: core; images and clustering; parameters; criteria; study; comparing; trials; pages. Figures stand
beside, and draw finished numbers.
"""

import warnings

# timm and umap import tqdm.auto, which asks for widgets; the progress bars of this project are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

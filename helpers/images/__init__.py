"""From the name of a collection to features: images, data sets, networks, embeddings."""

"""Reduce features to points, cluster the points, and measure the clusterings by silhouettes."""

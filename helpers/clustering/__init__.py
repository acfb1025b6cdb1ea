"""From features to clusterings and their silhouettes."""

"""The ground floor: conventions, fingerprints, files, the cache, and where tasks run. It knows nothing of images."""

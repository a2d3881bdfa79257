"""Pictures: a folder of numbered PNG, JPEG or TIFF files as a clip, and everything such a file carries."""

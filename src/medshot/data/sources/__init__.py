"""One file a public data set whose official form is not a folder of images."""

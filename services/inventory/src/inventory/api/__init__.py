"""Stock and copies of products over HTTP."""

"""`python3 -m images VERB`."""

import sys

from images.cli import main

sys.exit(main(sys.argv[1:]))

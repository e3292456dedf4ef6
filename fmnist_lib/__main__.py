"""``python -m fmnist_lib COMMAND`` is ``fmnist COMMAND``."""

import sys

from fmnist_lib.commands.line import main

if __name__ == "__main__":
    sys.exit(main())

"""Reading on the desktop: the clipboard, a watched folder, a folder of comparisons."""

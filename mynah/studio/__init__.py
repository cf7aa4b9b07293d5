"""Studio: a page in the browser, behind the doors of the server: record a voice, drop a song, hear the cover.

`page` puts one page for each language (`words`) on the server; every tab is a file of its own. What takes longer than a
moment is asked of the server's workers, as the same jobs that its doors make (`desk`), and followed on the page
(`watch`). Controls are made from what systems declare (`controls`). Nothing is loaded from outside this machine.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported, which every module below does

// All tests of pages in one process, which share one Chromium. Each file can be run alone as well.

import "./callback.test.js";
import "./pages.test.js";
import "./code.test.js";

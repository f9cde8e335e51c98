"""The portrait as a web page: a static site that runs the network in the browser, and a server for trying it."""

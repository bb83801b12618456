"""The commands of ``kubectl prism``, one module each; ``app`` lists them."""

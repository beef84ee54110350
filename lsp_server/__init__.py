"""The language server: the only package that knows the protocol and editors. It never imports torch."""

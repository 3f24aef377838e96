"""Commands for maintainers: the software bill of materials, and the search for known vulnerabilities."""

"""OpenID Connect and JSON Web Tokens: whom other people's servers vouch for."""

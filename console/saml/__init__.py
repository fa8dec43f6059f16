"""Sign-in of people by SAML 2.0 (web browser SSO): requests, and what a response proves."""

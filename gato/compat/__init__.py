"""The call forms that GIA and gato-torch document."""

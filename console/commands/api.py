"""`custody api`: the REST API in the foreground, where the stack does not run it."""

import click


@click.command()
@click.option("--openapi", "document_only", is_flag=True, help="Print the OpenAPI document and end.")
def api(document_only: bool) -> int:
    """Serve the REST API until Ctrl-C. `custody up` runs it as a part of the stack."""
    if document_only:
        from console.api.openapi import make_document
        from console.api.routes import ROUTES
        from console.output import print_json

        print_json(make_document(ROUTES))
        return 0
    from console.api.__main__ import main

    return main()

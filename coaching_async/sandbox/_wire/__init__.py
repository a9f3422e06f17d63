"""What all folders of the sandbox share: the conventions of the API (JSON formats, query parameters, pages, errors, responses), and checks of arguments."""

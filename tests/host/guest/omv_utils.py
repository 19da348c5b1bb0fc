"""The filters that OpenMediaVault adds to Jinja; our states use none of them."""


def register_jinja_filters():
    return True

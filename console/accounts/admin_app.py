from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Django's admin behind our own site: the role admin, and the one way to sign in."""

    default_site = "console.accounts.admin_site.ConsoleAdminSite"

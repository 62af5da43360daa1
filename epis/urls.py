from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from epis.api import health, metrics, root
from epis.api.description import Schema

admin.site.site_title = admin.site.site_header = "epis"
admin.site.index_title = "What is in the databases"

signing_in = [
    path("login/", root.SignIn.as_view(), name="login"),
    path("logout/", root.SignOut.as_view(), name="logout"),
]
urlpatterns = [
    # The busiest first: routes are tried in this order.
    path("api/", include("apps.counter.api.urls")),
    path("api/", include("apps.todos.api.urls")),
    path("api/", include("apps.users.api.urls")),
    path("", root.front_page, name="front-page"),
    path("api/", root.Root.as_view(), name="api-root"),
    # Under the name that the browsable API looks for.
    path("api/auth/", include((signing_in, "rest_framework"))),
    path("api/schema/", Schema.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(http_method_names=["get", "head"]),
        name="docs",
    ),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.metrics),
]

handler400 = handler403 = handler404 = "epis.api.edge.refused"
handler500 = "epis.api.edge.failed"

"""The routes of the counter app below `/api/`."""

from rest_framework.routers import SimpleRouter

from apps.counter.api.views import CounterViewSet, IncrementViewSet

router = SimpleRouter(use_regex_path=False)
# The busiest first: routes are tried in this order.
router.register(
    "counters/<uuid:counter_id>/increments", IncrementViewSet, basename="counter-increment"
)
router.register("counters", CounterViewSet, basename="counter")

urlpatterns = router.urls

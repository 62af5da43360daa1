"""The routes of the counter app below `/api/`."""

from rest_framework.routers import SimpleRouter

from apps.counter.api.views import CounterViewSet, IncrementViewSet

router = SimpleRouter(use_regex_path=False)
router.register("counters", CounterViewSet, basename="counter")
router.register(
    "counters/<uuid:counter_id>/increments", IncrementViewSet, basename="counter-increment"
)

urlpatterns = router.urls

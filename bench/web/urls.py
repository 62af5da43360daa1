"""The alternatives first: they are found a little sooner than epis' own."""

from django.urls import path

from bench.web import views
from epis import urls

urlpatterns = [
    path("bench/nothing/", views.Nothing.as_view()),
    path("bench/nothing-shared/", views.NothingSignedInTogether.as_view()),
    path("bench/hot/", views.HotRow.as_view()),
    path("bench/keyed/", views.KeyedHotRow.as_view()),
    path("bench/keyed-at-once/", views.KeyedHotRowAtOnce.as_view()),
    path("bench/celery/", views.TaskEach.as_view()),
    path("bench/redis/", views.RedisIncrement.as_view()),
    *urls.urlpatterns,
]

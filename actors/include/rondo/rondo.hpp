// Everything: tasklets, channels, scopes, synchronisation, actors. The one header that names all three layers.
#pragma once

#include <rondo/actor.hpp>
#include <rondo/actor_group.hpp>
#include <rondo/as_completed.hpp>
#include <rondo/barrier.hpp>
#include <rondo/broadcast.hpp>
#include <rondo/channel.hpp>
#include <rondo/condition_variable.hpp>
#include <rondo/error.hpp>
#include <rondo/event.hpp>
#include <rondo/latch.hpp>
#include <rondo/latest.hpp>
#include <rondo/mutex.hpp>
#include <rondo/once.hpp>
#include <rondo/oneshot.hpp>
#include <rondo/pool.hpp>
#include <rondo/probe.hpp>
#include <rondo/registry.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/select.hpp>
#include <rondo/semaphore.hpp>
#include <rondo/shared_mutex.hpp>
#include <rondo/supervisor.hpp>
#include <rondo/tasklet.hpp>
#include <rondo/testing.hpp>
#include <rondo/time.hpp>
#include <rondo/topic.hpp>
#include <rondo/wait_group.hpp>
#include <rondo/work_queue.hpp>

#include <fmt/format.h>

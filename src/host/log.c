/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The event log: fixed entries in a ring, words for programs; sentences are made by them. */
#include "host/priv.h"

void host_log(struct host *h, const struct host_event *event)
{
	u32 mask = h->config.log_entries - 1;
	struct host_event *e = &h->log[h->log_number & mask];

	*e = *event;
	e->number = ++h->log_number;
	e->time_ns = host_now(h);
}

u32 host_log_read(const struct host *h, u64 after, struct host_event *ret, u32 n)
{
	u32 entries = h->config.log_entries;
	u64 first = h->log_number > entries ? h->log_number - entries : 0;
	u32 got = 0;

	for (u64 i = max_of(after, first); i < h->log_number && got < n; i++)
		ret[got++] = h->log[i & (entries - 1)];
	return got;
}

static const char *const event_words[HOST_EVENTS] = {
	[HOST_EVENT_OFFLOAD_REFUSED] = "offload-refused",
	[HOST_EVENT_OFFLOAD_UNDONE] = "offload-undone",
	[HOST_EVENT_UPLOAD_REQUESTED] = "upload-requested",
	[HOST_EVENT_UPLOAD_IGNORED] = "upload-not-granted",
	[HOST_EVENT_UPLOAD_UNDONE] = "upload-undone",
	[HOST_EVENT_ABORTED] = "aborted",
	[HOST_EVENT_UPDATE_FAILED] = "update-failed",
	[HOST_EVENT_INVALIDATED] = "invalidated",
	[HOST_EVENT_NEIGHBOR_CHANGED] = "neighbor-changed",
	[HOST_EVENT_PATH_MTU] = "path-mtu",
	[HOST_EVENT_ROUTE_CHANGED] = "route-changed",
	[HOST_EVENT_LINK_DOWN] = "link-down",
	[HOST_EVENT_LINK_UP] = "link-up",
	[HOST_EVENT_PAUSED] = "paused",
	[HOST_EVENT_RESUMED] = "resumed",
	[HOST_EVENT_HEARTBEAT_LOST] = "heartbeat-lost",
	[HOST_EVENT_PARKED_DROPPED] = "parked-dropped",
	[HOST_EVENT_MODEL_LOST] = "model-lost",
};

const char *host_event_word(enum host_event_kind kind)
{
	return (u32)kind < HOST_EVENTS ? event_words[kind] : "unknown";
}

static const char *const step_words[HOST_STEPS] = {
	[HOST_STEP_INSPECT] = "inspect", [HOST_STEP_RESERVE] = "reserve",
	[HOST_STEP_HOLD] = "hold",       [HOST_STEP_FENCE] = "fence",
	[HOST_STEP_FREEZE] = "freeze",   [HOST_STEP_TRANSFER] = "transfer",
	[HOST_STEP_DETACH] = "detach",   [HOST_STEP_OWN] = "own",
	[HOST_STEP_FORWARD] = "forward", [HOST_STEP_UPLOAD] = "upload",
	[HOST_STEP_IMPORT] = "import",   [HOST_STEP_COMMIT] = "commit",
	[HOST_STEP_INJECT] = "inject",   [HOST_STEP_RELEASE] = "release",
};

const char *host_step_word(enum host_step_name step)
{
	return (u32)step < HOST_STEPS ? step_words[step] : "unknown";
}

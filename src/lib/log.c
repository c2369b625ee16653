/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The event log as sentences: what happened to which object, and why. */
#include "lib/internal.h"

#include <errno.h>
#include <stdio.h>

static const char *const layer_words[LAYERS] = {"neighbor", "path", "connection"};

static void reason(const struct host_event *e, char *to, size_t len)
{
	switch (e->kind) {
	case HOST_EVENT_UPLOAD_REQUESTED:
		snprintf(to, len, "%s%s. %s", upload_reason_word((enum upload_reason)e->reason),
		         e->by_admin ? "; granted although an administrator had directed it there"
		                     : "",
		         upload_reason_sentence((enum upload_reason)e->reason));
		return;
	case HOST_EVENT_UPLOAD_IGNORED:
		snprintf(to, len, "%s, and a policy keeps it there (%llu). %s",
		         upload_reason_word((enum upload_reason)e->reason),
		         (unsigned long long)e->detail,
		         upload_reason_sentence((enum upload_reason)e->reason));
		return;
	case HOST_EVENT_OFFLOAD_REFUSED:
	case HOST_EVENT_OFFLOAD_UNDONE:
	case HOST_EVENT_UPLOAD_UNDONE:
	case HOST_EVENT_UPDATE_FAILED:
		snprintf(to, len, "%s (%llu). %s", status_word((enum status)e->reason),
		         (unsigned long long)e->detail, status_sentence((enum status)e->reason));
		return;
	case HOST_EVENT_MODEL_LOST:
		snprintf(to, len,
		         "the kernel takes no model of BBR back: it goes on with the same window "
		         "and "
		         "measures the path anew (%llu bytes/s were known)",
		         (unsigned long long)e->detail);
		return;
	default:
		snprintf(to, len, "%llu", (unsigned long long)e->detail);
	}
}

static void sentence(const struct host_event *e, struct chimney_event *to)
{
	char why[200];

	reason(e, why, sizeof(why));
	to->time_ns = e->time_ns;
	to->number = e->number;
	snprintf(to->text, sizeof(to->text), "%s %u: %s: %s",
	         e->layer < LAYERS ? layer_words[e->layer] : "object", (u32)e->object,
	         host_event_word((enum host_event_kind)e->kind), why);
}

EXPORT int chimney_context_log(struct chimney_context *context, unsigned int lane, uint64_t after,
                               struct chimney_event *events, int max)
{
	struct host_event raw[16];
	int n = 0;

	if (lane >= context->n_lanes || max < 0)
		return lib_fail(-EINVAL, "lane %u: there are %u", lane, context->n_lanes);
	while (n < max) {
		struct lib_lane *l = &context->lanes[lane];
		u32 got;

		lane_lock(l->lane);
		got = host_log_read(l->host, after, raw,
		                    min_of((u32)(max - n), (u32)ARRAY_SIZE(raw)));
		lane_unlock(l->lane);
		for (u32 i = 0; i < got; i++)
			sentence(&raw[i], &events[n++]);
		if (got)
			after = raw[got - 1].number;
		if (got < ARRAY_SIZE(raw))
			break;
	}
	return n;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "offload/offload.h"
#include "offload/request.h"

static const char *const feature_names[] = {
	"ipv4",
	"ipv6",
	"sack",
	"timestamps",
	"window-scaling",
	"ecn",
	"vlan",
	"snap",
	"cubic",
	"newreno",
	"bbr",
	"microsecond-timestamps",
	"upload-forward-buffering",
	"buffers-in-request",
	"checkpoint",
	"registered-buffers",
	"pacing",
};

const char *feature_name(u32 bit)
{
	if (!bit || bit & (bit - 1))
		return "unknown";
	bit = (u32)__builtin_ctz(bit);
	return bit < ARRAY_SIZE(feature_names) ? feature_names[bit] : "unknown";
}

static const char *const reason_words[UPLOAD_REASONS] = {
	[UPLOAD_HARDWARE_FAILURE] = "hardware-failure",
	[UPLOAD_INVALID_STATE] = "invalid-state",
	[UPLOAD_URGENT] = "urgent-data",
	[UPLOAD_TIMEOUT] = "timeout",
	[UPLOAD_DEVICE] = "asked-by-device",
	[UPLOAD_TIME_WAIT] = "time-wait",
	[UPLOAD_FIN_UNREAD] = "fin-unread",
	[UPLOAD_LOW_ACTIVITY] = "low-activity",
	[UPLOAD_HIGH_DROP_RATE] = "high-drop-rate",
	[UPLOAD_SMALL_IO] = "small-io",
	[UPLOAD_NO_BUFFERS] = "no-buffers-posted",
	[UPLOAD_FRAGMENTATION] = "high-fragmentation",
	[UPLOAD_OUT_OF_ORDER] = "out-of-order",
};

const char *upload_reason_word(enum upload_reason reason)
{
	return (u32)reason < UPLOAD_REASONS ? reason_words[reason] : "unknown";
}

static const char *const reason_sentences[UPLOAD_REASONS] = {
	[UPLOAD_HARDWARE_FAILURE] = "The target reported a failure: look at the device.",
	[UPLOAD_INVALID_STATE] = "Its path or neighbor is not valid any more: look at the route.",
	[UPLOAD_URGENT] = "Urgent data arrived, which only the host handles.",
	[UPLOAD_TIMEOUT] = "A timer gave the path up: the peer does not answer.",
	[UPLOAD_DEVICE] = "The target or its administrator wants it back in the host.",
	[UPLOAD_TIME_WAIT] = "It is closed in both directions: TIME_WAIT is the host's.",
	[UPLOAD_FIN_UNREAD] = "The peer has closed, and nobody reads what it had sent.",
	[UPLOAD_LOW_ACTIVITY] = "It moved too few bytes to be worth its place at the target.",
	[UPLOAD_HIGH_DROP_RATE] = "It lost too many segments: look at the path.",
	[UPLOAD_SMALL_IO] = "The application moves too few bytes a call: use larger ones.",
	[UPLOAD_NO_BUFFERS] = "The application posts no buffers: post some in advance.",
	[UPLOAD_FRAGMENTATION] = "Its packets arrive in IP fragments: lower the peer's MTU.",
	[UPLOAD_OUT_OF_ORDER] = "Too many of its segments arrive out of order: look at the path.",
};

const char *upload_reason_sentence(enum upload_reason reason)
{
	return (u32)reason < UPLOAD_REASONS ? reason_sentences[reason] : "Unknown reason.";
}

bool upload_reason_is_final(enum upload_reason reason)
{
	return reason < UPLOAD_LOW_ACTIVITY;
}

/* -- requests ---------------------------------------------------------------------------------- */

void offload_request_init(struct offload_request *request, enum block_call call,
                          struct block_list *list, u64 cookie)
{
	memset(request, 0, sizeof(*request));
	request->call = (u8)call;
	request->list = list;
	request->cookie = cookie;
}

int offload_request_need(struct offload_request *request, const struct offload_needs *needs)
{
	if (request->n_needs >= HOST_LAYERS)
		return -ENOSPC;
	request->needs[request->n_needs++] = *needs;
	return 0;
}

static u32 add_saturated(u32 a, u32 b)
{
	return a + b < a ? UINT32_MAX : a + b;
}

void offload_request_total(const struct offload_request *request, struct offload_needs *ret)
{
	struct offload_needs sum = {0};

	for (u32 i = 0; i < request->n_needs && i < HOST_LAYERS; i++) {
		const struct offload_needs *n = &request->needs[i];

		sum.connections = add_saturated(sum.connections, n->connections);
		sum.paths = add_saturated(sum.paths, n->paths);
		sum.neighbors = add_saturated(sum.neighbors, n->neighbors);
		sum.send_bytes = add_saturated(sum.send_bytes, n->send_bytes);
		sum.recv_bytes = add_saturated(sum.recv_bytes, n->recv_bytes);
		sum.posted_buffers = add_saturated(sum.posted_buffers, n->posted_buffers);
		sum.features |= n->features;
	}
	*ret = sum;
}

void offload_list_set_status(struct block_list *list, enum status status)
{
	u32 n = min_of(list->n_blocks, list->cap_blocks);

	for (u32 i = 0; i < n; i++) {
		list->blocks[i].status = (u16)status;
		list->blocks[i].detail = 0;
	}
}

u32 offload_list_count(const struct block_list *list, enum status status)
{
	u32 n = min_of(list->n_blocks, list->cap_blocks);
	u32 count = 0;

	for (u32 i = 0; i < n; i++)
		count += list->blocks[i].status == status;
	return count;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/event.h"

static const struct {
	const char *word, *sentence;
	u32 need, may;
} events[EVENTS] = {
#define EVENT(name, word, need, may, sentence) {word, sentence, need, may},
	EVENT_LIST(EVENT)
#undef EVENT
};

const char *event_word(enum event_op op)
{
	return (u32)op < EVENTS ? events[op].word : "unknown";
}

const char *event_sentence(enum event_op op)
{
	return (u32)op < EVENTS ? events[op].sentence : "unknown";
}

u32 event_needs(enum event_op op)
{
	return events[op].need;
}

u32 event_takes(enum event_op op)
{
	return events[op].need | events[op].may;
}

enum event_op event_find(const char *word)
{
	u32 op = 0;

	while (op < EVENTS && strcmp(events[op].word, word))
		op++;
	return (enum event_op)op;
}

bool event_is_random(enum event_op op)
{
	return op != EVENT_CONNECT && op != EVENT_PLANT;
}

static void set(struct event *e, enum event_key key, u64 value)
{
	e->has |= 1u << key;
	e->value[key] = value;
}

static u32 draw_peer(struct prng *p, u32 hosts, u32 peers)
{
	u32 i = prng_below(p, hosts);

	for (u32 n = 0; n < hosts && !(peers & 1u << i); n++)
		i = (i + 1) % hosts;
	return i;
}

static void draw_fault(struct event *e, struct prng *p)
{
	switch (e->op) {
	case EVENT_FAIL:
		set(e, EVENT_KEY_STEP, prng_below(p, EVENT_STEPS));
		set(e, EVENT_KEY_NTH, 1 + prng_below(p, 9));
		break;
	case EVENT_PAUSE:
	case EVENT_STALL:
		set(e, EVENT_KEY_FOR, NS_PER_US * (20 + prng_below(p, 5000)));
		break;
	case EVENT_DOWN:
		set(e, EVENT_KEY_FOR, NS_PER_US * (20 + prng_below(p, 20000)));
		break;
	case EVENT_LOSSY:
		set(e, EVENT_KEY_FOR, NS_PER_US * (500 + prng_below(p, 20000)));
		set(e, EVENT_KEY_LOSS, 10000 + prng_below(p, 300000));
		break;
	case EVENT_MEMORY:
		set(e, EVENT_KEY_KEEP, prng_below(p, 64));
		set(e, EVENT_KEY_FOR, NS_PER_US * (100 + prng_below(p, 5000)));
		break;
	case EVENT_KILL:
		set(e, EVENT_KEY_THEN, prng_below(p, EVENT_DEATHS));
		set(e, EVENT_KEY_PHASE, prng_below(p, EVENT_PHASES));
		break;
	default:
		break;
	}
}

void event_draw(struct event *e, enum event_op op, struct prng *p, u32 hosts, u32 peers,
                u32 mtu_min)
{
	e->op = (u8)op;
	e->has = 0;
	switch (op) {
	case EVENT_OFFLOAD:
	case EVENT_UPLOAD:
		set(e, EVENT_KEY_SHARE, 1 + prng_below(p, 4));
		set(e, EVENT_KEY_PICK, prng_below(p, 1000000));
		break;
	case EVENT_SETTINGS:
	case EVENT_QUERY:
	case EVENT_ASK:
	case EVENT_INVALIDATE:
	case EVENT_CLOSE:
		set(e, EVENT_KEY_PICK, prng_below(p, 1000000));
		break;
	case EVENT_ROUTE:
		set(e, EVENT_KEY_TO, draw_peer(p, hosts, peers));
		set(e, EVENT_KEY_HOP, prng_below(p, 4));
		break;
	case EVENT_MAC:
	case EVENT_INVALIDATE_HOP:
		set(e, EVENT_KEY_HOP, prng_below(p, 4));
		break;
	case EVENT_MTU:
		set(e, EVENT_KEY_TO, draw_peer(p, hosts, peers));
		set(e, EVENT_KEY_MTU, mtu_min + prng_below(p, 1500 - mtu_min + 1));
		break;
	case EVENT_LINK_MTU:
		set(e, EVENT_KEY_MTU, mtu_min + prng_below(p, 1500 - mtu_min + 1));
		break;
	case EVENT_INVALIDATE_PATH:
		set(e, EVENT_KEY_TO, draw_peer(p, hosts, peers));
		break;
	default:
		draw_fault(e, p);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/scenario_words.h"

#define FIELD(word, kind, type, member)                                 \
	{                                                               \
		word, VALUE_##kind, sizeof(((struct type *)0)->member), \
			offsetof(struct type, member)                   \
	}

const struct scenario_field scenario_host_fields[] = {
	FIELD("targets", NUMBER, world_host, targets),
	FIELD("mtu", NUMBER, world_host, mtu),
	FIELD("chunk", NUMBER, world_host, chunk_max),
	FIELD("turn", TIME, world_host, turn_ns),
	FIELD("parents-late", NUMBER, world_host, parents_late),
	FIELD("refuse", CHANCE, world_host, refuse_ppm),
	FIELD("v6", NUMBER, world_host, v6),
	FIELD("ecn", NUMBER, world_host, ecn),
	FIELD("cc", ALGORITHM, world_host, cc),
	FIELD("ask", NUMBER, world_host, ask),
	{NULL},
};

const struct scenario_field scenario_target_fields[] = {
	FIELD("connections", NUMBER, world_target, connections),
	FIELD("buffers", NUMBER, world_target, small_buffers),
	FIELD("lacks", FEATURES, world_target, lacks),
	{NULL},
};

const struct scenario_field scenario_link_fields[] = {
	FIELD("delay", TIME, sim_link, delay_ns),
	FIELD("jitter", TIME, sim_link, jitter_ns),
	FIELD("rate", RATE, sim_link, bits_per_s),
	FIELD("queue", NUMBER, sim_link, queue_bytes),
	FIELD("loss", CHANCE, sim_link, loss_ppm),
	FIELD("burst", CHANCE, sim_link, burst_ppm),
	FIELD("burst-end", CHANCE, sim_link, burst_end_ppm),
	FIELD("reorder", CHANCE, sim_link, reorder_ppm),
	FIELD("reorder-by", TIME, sim_link, reorder_ns),
	FIELD("duplicate", CHANCE, sim_link, duplicate_ppm),
	FIELD("mark", CHANCE, sim_link, mark_ppm),
	FIELD("corrupt", CHANCE, sim_link, corrupt_ppm),
	{NULL},
};

const struct scenario_field scenario_key_fields[] = {
#define KEY(name, word, kind) \
	{word, VALUE_##kind, sizeof(u64), offsetof(struct event, value[EVENT_KEY_##name])},
	EVENT_KEYS(KEY)
#undef KEY
		{NULL},
};

static const struct word_of steps[] = {{"freeze", SOFT_FAULT_FREEZE},
                                       {"detach", SOFT_FAULT_DETACH},
                                       {"import", SOFT_FAULT_IMPORT},
                                       {NULL}};
static const struct word_of deaths[] = {
	{"rebuilt", MACHINE_REBUILT}, {"home", MACHINE_HOME}, {"spare", MACHINE_SPARE}, {NULL}};
static const struct word_of phases[] = {{"now", MACHINE_NOW},
                                        {"input", MACHINE_AFTER_INPUT},
                                        {"timers", MACHINE_AFTER_TIMERS},
                                        {"events", MACHINE_AFTER_EVENTS},
                                        {"flush", MACHINE_BEFORE_FLUSH},
                                        {NULL}};
static const struct word_of checks[] = {
#define CHECK(name, word, sentence) {word, CHECK_##name},
	CHECK_LIST(CHECK)
#undef CHECK
		{NULL}};
static const struct word_of features[] = {{"ipv4", FEATURE_IPV4},
                                          {"ipv6", FEATURE_IPV6},
                                          {"sack", FEATURE_SACK},
                                          {"timestamps", FEATURE_TIMESTAMPS},
                                          {"wscale", FEATURE_WSCALE},
                                          {"cubic", FEATURE_CUBIC},
                                          {"bbr", FEATURE_BBR},
                                          {"ecn", FEATURE_ECN},
                                          {NULL}};

static const struct word_of algorithms[] = {{"newreno", TCP_CC_NEWRENO + 1},
                                            {"cubic", TCP_CC_CUBIC + 1},
                                            {"bbr", TCP_CC_BBR + 1},
                                            {NULL}};

const struct word_of *scenario_words(enum value_kind kind)
{
	switch (kind) {
	case VALUE_STEP:
		return steps;
	case VALUE_DEATH:
		return deaths;
	case VALUE_PHASE:
		return phases;
	case VALUE_CHECK:
		return checks;
	case VALUE_ALGORITHM:
		return algorithms;
	case VALUE_FEATURES:
		return features;
	default:
		return NULL;
	}
}

u64 scenario_get(const void *of, const struct scenario_field *f)
{
	u64 value = 0;

	memcpy(&value, (const u8 *)of + f->offset, f->bytes);
	return value;
}

void scenario_set(void *of, const struct scenario_field *f, u64 value)
{
	memcpy((u8 *)of + f->offset, &value, f->bytes);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * When a member may be used: causes that are reported count after a delay of their own, and a
 * member comes back when none has been there for a while. So a link that flaps is out until it
 * stops.
 */
#include "driver/team/internal.h"

static const char *const words[TEAM_CAUSES] = {
	[TEAM_CARRIER] = "carrier", [TEAM_LACP] = "lacp",   [TEAM_HEARTBEAT] = "heartbeat",
	[TEAM_PROBE] = "probe",     [TEAM_ERROR] = "error", [TEAM_ADMIN] = "administrator",
};

const char *team_cause_word(enum team_cause cause)
{
	return (u32)cause < TEAM_CAUSES ? words[cause] : "unknown";
}

void team_tell(struct team *t, struct team_event event)
{
	event.at_ns = t->now_ns;
	if (t->env.event)
		t->env.event(t->env.ctx, &event);
}

void team_report(struct team *t, u32 member, enum team_cause cause, bool up, u64 now_ns)
{
	struct team_member *m = &t->member[member];
	u32 bit = 1u << cause;

	t->now_ns = max_of(t->now_ns, now_ns);
	if (up == !(m->causes & bit))
		return;
	if (up) {
		m->causes &= ~bit;
		m->down &= ~bit;
	} else {
		m->causes |= bit;
		m->since_ns[cause] = t->now_ns;
	}
	m->clear_ns = t->now_ns;
	team_tell(t, (struct team_event){.kind = TEAM_EVENT_CAUSE,
	                                 .cause = (u8)cause,
	                                 .up = up,
	                                 .member = member});
	team_detect_run(t);
}

static u64 counts_at(const struct team *t, const struct team_member *m, u32 cause)
{
	return m->since_ns[cause] + t->config.down_delay_ns[cause];
}

static void look(struct team *t, u32 index)
{
	struct team_member *m = &t->member[index];

	for (u32 cause = 0; cause < TEAM_CAUSES; cause++)
		if (m->causes >> cause & 1 && t->now_ns >= counts_at(t, m, cause))
			m->down |= 1u << cause;
	if (m->usable && m->down) {
		m->usable = false;
		t->stats.downs++;
		team_tell(t, (struct team_event){.kind = TEAM_EVENT_DOWN,
		                                 .cause = (u8)__builtin_ctz(m->down),
		                                 .member = index,
		                                 .n = m->n});
		team_member_went(t, index);
	} else if (!m->usable && !m->causes && t->now_ns >= m->clear_ns + t->config.up_delay_ns) {
		m->usable = true;
		m->usable_ns = t->now_ns;
		t->stats.ups++;
		team_tell(t,
		          (struct team_event){.kind = TEAM_EVENT_UP, .up = true, .member = index});
		team_member_came(t, index);
	}
}

void team_detect_run(struct team *t)
{
	for (u32 i = 0; i < t->config.n_members; i++)
		look(t, i);
}

u64 team_detect_next_ns(const struct team *t)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < t->config.n_members; i++) {
		const struct team_member *m = &t->member[i];

		for (u32 cause = 0; cause < TEAM_CAUSES; cause++)
			if (m->causes >> cause & 1 && !(m->down >> cause & 1))
				next = min_of(next, counts_at(t, m, cause));
		if (!m->usable && !m->causes)
			next = min_of(next, m->clear_ns + t->config.up_delay_ns);
	}
	return next;
}

u32 team_member_down(const struct team *t, u32 member)
{
	return t->member[member].down;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Associations as objects: offload, update, query, upload, commit, and their limits. */
#include <errno.h>

#include "driver/ipsec/internal.h"

/* -- finding ----------------------------------------------------------------------------------- */

u32 sa_hash(const struct ipsec *d, u32 spi, const struct ip_addr *dst, u8 protocol)
{
	struct flow_key key = {.local = *dst, .local_port = (u16)spi, .remote_port = spi >> 16};

	return flow_key_hash(&d->hash, &key) ^ protocol;
}

struct sa *sa_find(const struct ipsec *d, u32 spi, const struct ip_addr *dst, u8 protocol)
{
	u32 hash = sa_hash(d, spi, dst, protocol);

	flowtab_for_each (&d->by_spi, hash, i) {
		const struct ipsec_sa_state *s = &d->sa[i].state;

		if (s->spi == spi && s->protocol == protocol && ip_addr_eq(&s->local, dst))
			return &d->sa[i];
	}
	return NULL;
}

static struct sa *sa_of(const struct ipsec *d, handle device)
{
	u32 index = slots_find(&d->slots, device);

	return index == NIL ? NULL : &d->sa[index];
}

/* -- limits (RFC 4301 4.4.2.1) ----------------------------------------------------------------- */

void sa_tell(struct ipsec *d, struct sa *sa, enum ipsec_event event)
{
	u8 bit = (u8)(1 << event);

	if (sa->told & bit)
		return;
	sa->told |= bit;
	sa->due |= bit;
	d->events_due++;
}

static bool reached(u64 limit, u64 value)
{
	return limit && value >= limit;
}

static u64 sa_age(const struct ipsec *d, const struct sa *sa)
{
	return d->now_ns - sa->made_ns;
}

bool sa_is_expired(const struct ipsec *d, const struct sa *sa)
{
	const struct ipsec_sa_state *s = &sa->state;

	return reached(s->hard_bytes, s->bytes) || reached(s->hard_packets, s->packets) ||
	       reached(s->hard_ns, sa_age(d, sa));
}

static void check_limits(struct ipsec *d, struct sa *sa)
{
	const struct ipsec_sa_state *s = &sa->state;

	if (reached(s->soft_bytes, s->bytes) || reached(s->soft_packets, s->packets) ||
	    reached(s->soft_ns, sa_age(d, sa)))
		sa_tell(d, sa, IPSEC_SOFT_EXPIRED);
	if (sa_is_expired(d, sa))
		sa_tell(d, sa, IPSEC_HARD_EXPIRED);
}

void sa_account(struct ipsec *d, struct sa *sa, u32 bytes)
{
	sa->state.bytes += bytes;
	sa->state.packets++;
	check_limits(d, sa);
}

/* When it next reaches a limit of age that was not told. */
static u64 sa_expiry(const struct sa *sa)
{
	u64 next = UINT64_MAX;

	if (sa->state.soft_ns && !(sa->told & TOLD_SOFT))
		next = sa->made_ns + sa->state.soft_ns;
	if (sa->state.hard_ns && !(sa->told & TOLD_HARD))
		next = min_of(next, sa->made_ns + sa->state.hard_ns);
	return next;
}

void sa_timers(struct ipsec *d, u64 now_ns)
{
	if (now_ns < d->expiry_ns)
		return;
	d->expiry_ns = UINT64_MAX;
	for (u32 i = 0; i < d->config.sas; i++) {
		if (!slots_is_taken(&d->slots, i))
			continue;
		check_limits(d, &d->sa[i]);
		d->expiry_ns = min_of(d->expiry_ns, sa_expiry(&d->sa[i]));
	}
}

u32 sa_events(struct ipsec *d)
{
	u32 n = 0;

	for (u32 i = 0; d->events_due && i < d->config.sas; i++) {
		struct sa *sa = &d->sa[i];

		for (u32 e = 0; sa->due; e++) {
			if (!(sa->due >> e & 1))
				continue;
			sa->due &= (u8) ~(1 << e);
			d->events_due--;
			n++;
			if (d->config.event)
				d->config.event(d->config.ctx, sa->host, e);
		}
	}
	return n;
}

/* -- coming and going -------------------------------------------------------------------------- */

static void sa_discard(struct ipsec *d, struct cipher **c)
{
	if (*c)
		d->config.cipher.ops->discard(d->config.cipher.impl, *c);
	*c = NULL;
}

void sa_forget_previous(struct ipsec *d, struct sa *sa)
{
	sa_discard(d, &sa->previous);
}

void sa_free(struct ipsec *d, u32 index)
{
	struct sa *sa = &d->sa[index];
	const struct ipsec_sa_state *s = &sa->state;

	if (s->direction == IPSEC_IN)
		flowtab_remove(&d->by_spi, sa_hash(d, s->spi, &s->local, s->protocol), index);
	sa_discard(d, &sa->cipher);
	sa_discard(d, &sa->previous);
	for (; sa->due; sa->due &= (u8)(sa->due - 1))
		d->events_due--;
	*sa = (struct sa){0};
	if (slots_release(&d->slots, slots_handle(&d->slots, index)))
		return;
	d->generation++;
}

static enum status setup(struct ipsec *d, u32 suite, u64 key, struct cipher **ret)
{
	const struct cipher_env *env = &d->config.cipher;

	switch (env->ops->setup(env->impl, suite, key, ret)) {
	case 0:
		return STATUS_OK;
	case -ENOENT:
	case -EINVAL:
		return STATUS_NO_KEY;
	case -ENOMEM:
		return STATUS_NO_MEMORY;
	default:
		return STATUS_NO_FEATURE;
	}
}

static enum status sa_add(struct ipsec *d, struct block *b, const struct ipsec_sa_state *s)
{
	bool in = s->direction == IPSEC_IN;
	enum status status;
	struct sa *sa;
	u64 taken;
	u32 index;

	if (!(b->flags & BLOCK_DELEGATED) || b->dependent != NIL)
		return STATUS_BAD_STATE;
	if (in && sa_find(d, s->spi, &s->local, s->protocol))
		return STATUS_SPI_IN_USE;
	taken = slots_take(&d->slots);
	if (taken == SLOT_NO_HANDLE)
		return STATUS_NO_SAS;
	index = (u32)taken;
	sa = &d->sa[index];
	*sa = (struct sa){
		.state = *s,
		.shape = cipher_shape(s->suite),
		.made_ns = d->now_ns - s->age_ns,
		.order = ++d->last_order,
		.host = b->host,
	};
	status = setup(d, s->suite, s->key, &sa->cipher);
	if (!status && in &&
	    flowtab_insert(&d->by_spi, sa_hash(d, s->spi, &s->local, s->protocol), index))
		status = STATUS_NO_SAS;
	if (status) {
		sa_free(d, index);
		return status;
	}
	b->device = taken;
	d->generation++;
	d->expiry_ns = 0; /* the next timers look */
	return STATUS_OK;
}

static enum status sa_rekey(struct ipsec *d, struct sa *sa, u64 key)
{
	struct cipher *fresh;
	enum status status = setup(d, sa->state.suite, key, &fresh);

	if (status)
		return status;
	sa_discard(d, &sa->previous);
	if (sa->state.direction == IPSEC_IN)
		sa->previous = sa->cipher;
	else
		sa_discard(d, &sa->cipher);
	sa->cipher = fresh;
	sa->first_of_new = 0;
	return STATUS_OK;
}

static enum status sa_change(struct ipsec *d, struct block *b, const struct ipsec_sa_state *s)
{
	const struct schema_layer *layer = ipsec_schema.layer[LAYER_SA];
	struct sa *sa = sa_of(d, b->device);
	enum status status = STATUS_OK;

	if (!sa)
		return STATUS_STALE_HANDLE;
	if (sa->leaving)
		return STATUS_BAD_STATE;
	if (!(b->flags & BLOCK_CACHED))
		return STATUS_OK;
	if (s->key != sa->state.key)
		status = sa_rekey(d, sa, s->key);
	if (status)
		return status;
	schema_apply(layer, CLASS_CACHED, UINT64_MAX, &sa->state, s);
	sa->told = sa->due; /* new limits are told of anew */
	d->expiry_ns = 0;
	return STATUS_OK;
}

static enum status sa_show(struct ipsec *d, struct block *b, struct ipsec_sa_state *s)
{
	const struct schema_layer *layer = ipsec_schema.layer[LAYER_SA];
	struct sa *sa = sa_of(d, b->device);

	if (!sa)
		return STATUS_STALE_HANDLE;
	sa->state.age_ns = sa_age(d, sa);
	for (u32 cls = 0; cls < STATE_CLASSES; cls++) {
		if (b->flags >> cls & 1)
			schema_apply(layer, cls, UINT64_MAX, s, &sa->state);
	}
	return STATUS_OK;
}

static enum status sa_leave(struct ipsec *d, struct block *b, struct ipsec_sa_state *s)
{
	struct sa *sa = sa_of(d, b->device);

	if (!sa)
		return STATUS_STALE_HANDLE;
	if (sa->leaving)
		return STATUS_UPLOAD_IN_PROGRESS;
	b->flags = BLOCK_DELEGATED;
	sa->leaving = true;
	d->generation++;
	return sa_show(d, b, s);
}

/* -- lists ------------------------------------------------------------------------------------- */

static enum status one(struct ipsec *d, enum block_call call, struct block_list *list,
                       struct block *b)
{
	struct ipsec_sa_state *s = block_sa(list, b);

	b->detail = 0;
	if (b->layer != LAYER_SA || !s)
		return STATUS_BAD_STATE;
	switch (call) {
	case BLOCK_CALL_OFFLOAD:
		return sa_add(d, b, s);
	case BLOCK_CALL_UPDATE:
		return sa_change(d, b, s);
	case BLOCK_CALL_QUERY:
		return sa_show(d, b, s);
	default:
		return sa_leave(d, b, s);
	}
}

static int each(struct ipsec *d, enum block_call call, struct block_list *list)
{
	enum block_rule rule;
	struct block_walk w;
	u32 at;

	if (list->n_blocks > d->config.list_blocks)
		return -E2BIG;
	if (list->schema != &ipsec_schema)
		return -EINVAL;
	rule = block_list_check(list, call, d->scratch, &at);
	if (rule) {
		if (at != NIL) {
			block_at(list, at)->status = STATUS_MALFORMED;
			block_at(list, at)->detail = rule;
		}
		return at == NIL ? -EINVAL : 0;
	}
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w))
		block_at(list, i)->status = (u16)one(d, call, list, block_at(list, i));
	return 0;
}

int ipsec_sa_offload(struct ipsec *d, struct block_list *list)
{
	return each(d, BLOCK_CALL_OFFLOAD, list);
}

int ipsec_sa_update(struct ipsec *d, struct block_list *list)
{
	return each(d, BLOCK_CALL_UPDATE, list);
}

int ipsec_sa_query(struct ipsec *d, struct block_list *list)
{
	return each(d, BLOCK_CALL_QUERY, list);
}

int ipsec_sa_upload(struct ipsec *d, struct block_list *list)
{
	return each(d, BLOCK_CALL_UPLOAD, list);
}

void ipsec_sa_commit(struct ipsec *d, struct block_list *list)
{
	struct block_walk w;

	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(list, i);
		struct sa *sa = sa_of(d, b->device);

		if (!sa || !sa->leaving)
			continue;
		if (b->status == STATUS_OK)
			sa_free(d, (u32)b->device);
		else
			sa->leaving = false;
		d->generation++;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Requests that are split over members. An op holds what the host asked for (or what the team does
 * by itself), one part a member, and where it stands. A part's arrays are cut from an area that
 * each member has in each op, so nothing is allocated and parts of earlier rounds stay until the
 * end.
 */
#include <errno.h>

#include "base/assert.h"
#include "driver/team/internal.h"

bool team_list_is_sound(struct team *t, struct offload_request *request)
{
	struct block_list *list = request->list;
	enum block_rule rule;
	u32 bad;

	rule = block_list_check(list, (enum block_call)request->call, t->scratch, &bad);
	if (!rule)
		return true;
	offload_list_set_status(list, STATUS_MALFORMED);
	for (u32 i = 0; i < min_of(list->n_blocks, list->cap_blocks); i++)
		list->blocks[i].detail = rule;
	t->host.ops->complete(t->host.impl, request);
	return false;
}

struct team_op *team_op_take(struct team *t, enum op_kind kind, struct offload_request *request)
{
	for (u32 i = 0; i < OPS_MAX; i++) {
		struct team_op *op = &t->op[i];

		/* The last is the team's own: a member that dies must not wait for the host. */
		if (op->stage != OP_FREE || (i == OPS_MAX - 1) != (kind == OP_MOVE))
			continue;
		op->stage = OP_WAITS;
		op->kind = (u8)kind;
		op->step = 0;
		op->order = t->orders++;
		op->request = request;
		op->list = request ? request->list : &op->own;
		op->n_pending = 0;
		op->starting = false;
		team_op_reset_subs(t, op);
		return op;
	}
	return NULL;
}

void team_op_free(struct team_op *op)
{
	op->stage = OP_FREE;
	op->request = NULL;
}

void team_op_reset_subs(struct team *t, struct team_op *op)
{
	u32 n = t->config.list_blocks;

	for (u32 m = 0; m < t->config.n_members; m++) {
		block_list_init(&op->area[m], op->area_mem[m], 2 * n, n, n, n);
		memset(op->mirror[m], 0xff, n * sizeof(u32));
	}
	op->n_subs = 0;
}

struct team_sub *team_sub_open(struct team *t, struct team_op *op, u32 member, enum block_call call)
{
	struct block_list *area = &op->area[member];
	struct team_sub *sub;

	if (op->n_subs == SUBS_MAX)
		return NULL;
	sub = &op->sub[op->n_subs++];
	memset(op->mirror[member], 0xff, t->config.list_blocks * sizeof(u32));
	sub->member = (u8)member;
	sub->pending = false;
	sub->list = *area;
	sub->list.pool = op->list->pool;
	sub->of = op->area_of[member] + (2 * t->config.list_blocks - area->cap_blocks);
	offload_request_init(&sub->request, call, &sub->list,
	                     (u64)(op - t->op) << 32 | (u32)(sub - op->sub));
	return sub;
}

u32 team_sub_add(struct team_sub *sub, u32 parent, enum layer layer, bool state, u32 of)
{
	u32 block;

	if (block_list_add(&sub->list, parent, layer, state, &block))
		return NIL;
	sub->of[block] = of;
	return block;
}

void team_sub_close(struct team_op *op, struct team_sub *sub)
{
	struct block_list *area = &op->area[sub->member], *list = &sub->list;

	area->blocks += list->n_blocks;
	area->neighbors += list->n_neighbors;
	area->paths += list->n_paths;
	area->conns += list->n_conns;
	area->cap_blocks -= list->n_blocks;
	area->cap_neighbors -= list->n_neighbors;
	area->cap_paths -= list->n_paths;
	area->cap_conns -= list->n_conns;
	list->cap_blocks = list->n_blocks;
	list->cap_neighbors = list->n_neighbors;
	list->cap_paths = list->n_paths;
	list->cap_conns = list->n_conns;
}

static int hand_down(struct team *t, struct team_op *op, struct team_sub *sub)
{
	struct device *d = t->member[sub->member].device;

	switch ((enum block_call)sub->request.call) {
	case BLOCK_CALL_OFFLOAD:
		return d->ops->offload(d->impl, &sub->request);
	case BLOCK_CALL_TRANSFER:
		return d->ops->transfer(d->impl, &sub->request);
	case BLOCK_CALL_UPLOAD:
		return d->ops->upload(d->impl, &sub->request);
	case BLOCK_CALL_UPDATE:
		return d->layer[op->layer]->update(d->impl, &sub->request);
	case BLOCK_CALL_INVALIDATE:
		return d->layer[op->layer]->invalidate(d->impl, &sub->request);
	case BLOCK_CALL_QUERY:
		return d->layer[op->layer]->query(d->impl, &sub->request);
	default:
		return -EINVAL;
	}
}

/* A part that its member did not take at all fails as a whole; the others go on. */
static void refused(struct team_op *op, struct team_sub *sub, int err)
{
	enum status status = err == -EBUSY ? STATUS_BUSY : STATUS_FAILED;

	offload_list_set_status(&sub->list, status);
	for (u32 i = 0; i < sub->list.n_blocks; i++)
		sub->list.blocks[i].detail = (u64)-err;
	sub->pending = false;
	op->n_pending--;
}

void team_op_run(struct team *t, struct team_op *op)
{
	op->stage = OP_RUNS;
	op->starting = true;
	for (u32 i = 0; i < op->n_subs; i++) {
		struct team_sub *sub = &op->sub[i];
		int err;

		if (!sub->pending)
			continue;
		op->n_pending++;
		err = hand_down(t, op, sub);
		if (err)
			refused(op, sub, err);
	}
	op->starting = false;
	if (!op->n_pending)
		team_op_went_on(t, op);
}

void team_member_complete(void *impl, struct offload_request *request)
{
	struct team *t = ((struct team_member *)impl)->team;
	struct team_op *op = &t->op[request->cookie >> 32];
	struct team_sub *sub = &op->sub[(u32)request->cookie];

	ASSERT(request == &sub->request && sub->pending);
	sub->pending = false;
	op->n_pending--;
	if (!op->n_pending && !op->starting)
		team_op_went_on(t, op);
}

void team_op_went_on(struct team *t, struct team_op *op)
{
	switch ((enum op_kind)op->kind) {
	case OP_OFFLOAD:
		team_offload_went_on(t, op);
		break;
	case OP_TRANSFER:
		team_transfer_went_on(t, op);
		break;
	case OP_UPLOAD:
		team_upload_went_on(t, op);
		break;
	case OP_MOVE:
		team_move_went_on(t, op);
		break;
	default:
		team_change_went_on(t, op);
	}
}

void team_op_complete(struct team *t, struct team_op *op)
{
	struct offload_request *request = op->request;

	if (op->stage == OP_RUNS || op->stage == OP_WAITS)
		team_op_free(op);
	t->host.ops->complete(t->host.impl, request);
}

struct team_op *team_op_of(struct team *t, const struct offload_request *request,
                           enum op_stage stage)
{
	for (u32 i = 0; i < OPS_MAX; i++)
		if (t->op[i].stage == stage && t->op[i].request == request)
			return &t->op[i];
	return NULL;
}

bool team_ops_busy(const struct team *t, enum op_kind kind)
{
	for (u32 i = 0; i < OPS_MAX; i++)
		if (t->op[i].stage == OP_RUNS && t->op[i].kind == kind)
			return true;
	return false;
}

/* What makes objects on members goes one at a time, so that none is made twice; nothing of the host
 * goes while the team moves connections by itself; new offloads wait while a member is leaving. */
static bool may_start(const struct team *t, const struct team_op *op)
{
	if (team_ops_busy(t, OP_MOVE))
		return false;
	if (op->kind == OP_OFFLOAD)
		return !t->paused && !team_ops_busy(t, OP_OFFLOAD) && !team_ops_busy(t, OP_UPDATE);
	return op->kind != OP_UPDATE ||
	       (!team_ops_busy(t, OP_OFFLOAD) && !team_ops_busy(t, OP_UPDATE));
}

static void start(struct team *t, struct team_op *op)
{
	switch ((enum op_kind)op->kind) {
	case OP_OFFLOAD:
		team_offload_start(t, op);
		break;
	case OP_TRANSFER:
		team_transfer_start(t, op);
		break;
	case OP_UPLOAD:
		team_upload_start(t, op);
		break;
	default:
		team_change_start(t, op);
	}
}

/* The oldest that may start; NULL: none. */
static struct team_op *next_op(struct team *t)
{
	struct team_op *next = NULL;

	for (u32 i = 0; i < OPS_MAX; i++) {
		struct team_op *op = &t->op[i];

		if (op->stage == OP_WAITS && op->kind != OP_MOVE && may_start(t, op) &&
		    (!next || (s32)(op->order - next->order) < 0))
			next = op;
	}
	return next;
}

void team_ops_run(struct team *t)
{
	struct team_op *op;

	while ((op = next_op(t)))
		start(t, op);
}

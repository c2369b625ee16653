/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Upload and commit: what each member gives back becomes one answer; parents go when no member has
 * them any more. */
#include "driver/team/internal.h"

/* -- upload ------------------------------------------------------------------------------------ */

void team_upload_start(struct team *t, struct team_op *op)
{
	team_note_linkers(t, op);
	team_mirror_all(t, op, BLOCK_CALL_UPLOAD);
	team_op_run(t, op);
}

/* A parent that no member has is given back from here. */
static void give_back(struct team *t, struct team_op *op, u32 i)
{
	struct block *b = block_at(op->list, i);

	if (op->object[i] == NIL || b->state == NIL || b->flags & BLOCK_DELEGATED)
		return;
	if (b->layer == LAYER_NEIGHBOR)
		block_neighbor(op->list, b)->d = t->neighbors[op->object[i]].state.d;
	else if (b->layer == LAYER_PATH)
		block_path(op->list, b)->d = t->paths[op->object[i]].state.d;
	b->flags |= BLOCK_DELEGATED;
}

void team_upload_went_on(struct team *t, struct team_op *op)
{
	team_collect_all(t, op);
	for (u32 i = 0; i < op->list->n_blocks; i++)
		if (op->list->blocks[i].status == STATUS_OK)
			give_back(t, op, i);
	op->stage = OP_UPLOADED;
	team_op_complete(t, op);
}

int team_upload(void *device, struct offload_request *request)
{
	return team_change(device, request, OP_UPLOAD, LAYER_TCP);
}

/* -- commit ------------------------------------------------------------------------------------ */

static void commit_parts(struct team *t, struct team_op *op)
{
	for (u32 k = 0; k < op->n_subs; k++) {
		struct team_sub *sub = &op->sub[k];
		struct device *d = t->member[sub->member].device;

		for (u32 i = 0; i < sub->list.n_blocks; i++) {
			struct block *b = block_at(&sub->list, i);
			const struct block *host = block_at(op->list, sub->of[i]);

			if (b->status == STATUS_OK && host->status != STATUS_OK)
				b->status = host->status;
		}
		d->ops->commit(d->impl, &sub->request);
		for (u32 i = 0; i < sub->list.n_blocks; i++) {
			const struct block *b = block_at(&sub->list, i);
			u32 object = op->object[sub->of[i]];

			if (b->device == HANDLE_NONE)
				continue;
			if (b->status != STATUS_OK)
				block_at(op->list, sub->of[i])->status = b->status;
			else if (b->layer == LAYER_NEIGHBOR)
				t->neighbors[object].on[sub->member] = HANDLE_NONE;
			else if (b->layer == LAYER_PATH)
				t->paths[object].on[sub->member] = HANDLE_NONE;
		}
	}
}

static void drop_layer(struct team *t, struct team_op *op, u32 layer)
{
	for (u32 i = 0; i < op->list->n_blocks; i++) {
		struct block *b = block_at(op->list, i);
		u32 object = op->object[i];

		if (b->layer != layer || object == NIL || b->status != STATUS_OK)
			continue;
		if (layer == LAYER_TCP)
			team_conn_drop(t, object);
		else if (layer == LAYER_PATH && !t->paths[object].refs)
			team_path_drop(t, object);
		else if (layer == LAYER_NEIGHBOR && !t->neighbors[object].refs)
			team_neighbor_drop(t, object);
		else
			b->status = STATUS_BUSY;
	}
}

void team_commit(void *device, struct offload_request *request)
{
	struct team *t = device;
	struct team_op *op = team_op_of(t, request, OP_UPLOADED);

	if (!op)
		return;
	commit_parts(t, op);
	for (u32 layer = LAYERS; layer-- > 0;)
		drop_layer(t, op, layer);
	team_op_free(op);
	team_ops_run(t);
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/repair.h"

#include <errno.h>
#include <netinet/in.h>

#include <linux/inet_diag.h>
#include <linux/tcp.h>

#include "linux/reasons.h"

#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP (-1)
#endif

int repair_set_int(const struct repair *r, int fd, int name, int value)
{
	return r->sys->setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value)) ? -errno : 0;
}

int repair_export(const struct repair *r, int fd, struct sock_export *ret)
{
	socklen_t len = sizeof(*ret);

	if (r->sys->getsockopt(fd, EXPORT_LEVEL, EXPORT_NAME, ret, &len))
		return -errno;
	return len == sizeof(*ret) ? 0 : -EPROTO;
}

void repair_note(struct linux_conn *conn, const struct sock_export *e)
{
	memcpy(conn->key.local, e->local, 16);
	memcpy(conn->key.remote, e->remote, 16);
	conn->key.local_port = cpu_to_be16(e->local_port);
	conn->key.remote_port = cpu_to_be16(e->remote_port);
	conn->family = (u8)e->family;
	conn->scope = e->bound_ifindex ? e->bound_ifindex : e->ifindex;
	conn->flags &= (u8) ~(CONN_REUSEADDR | CONN_UNBOUND | CONN_PORT_BOUND);
	if (e->facts & EXPORT_PORT_BOUND)
		conn->flags |= CONN_PORT_BOUND;
	if (e->facts & EXPORT_REUSEADDR)
		conn->flags |= CONN_REUSEADDR;
}

/* The rest, which may have changed until the freeze. */
static void note_frozen(struct linux_conn *conn, const struct sock_export *e)
{
	memcpy(conn->cc, e->cc, sizeof(conn->cc));
	conn->tsoffset = e->tsoffset;
	conn->mss = e->mss_cache ? e->mss_cache : 536;
	conn->rcv_nxt = e->rcv_nxt;
	conn->user_mss = e->user_mss;
	conn->flags &= (u8)~CONN_USEC_TS;
	if (e->facts & EXPORT_USEC_TS)
		conn->flags |= CONN_USEC_TS;
}

/* Sends an ACK that the kernel meant to send later, and reads the socket again (trap 18). */
static int flush_delayed_ack(struct repair *r, int fd, struct sock_export *e)
{
	int err;

	if (!(e->facts & EXPORT_DELACK))
		return 0;
	err = repair_set_int(r, fd, TCP_QUICKACK, 1);
	if (err)
		return err;
	r->flushed_acks++;
	return repair_export(r, fd, e);
}

static int read_queues(struct repair *r, int fd, struct tcp_state *state, struct buf_pool *pool)
{
	int err = queue_read(r->sys, fd, TCP_SEND_QUEUE, &r->scratch, pool, &state->d.send);

	if (err)
		return err;
	return queue_read(r->sys, fd, TCP_RECV_QUEUE, &r->scratch, pool, &state->d.recv);
}

/*
 * In repair mode a socket still sends what its window allows when the device has freed its frames
 * (TSQ) or a timer fires; but not while the send queue is the one that is selected. So that is
 * selected before snd_nxt is read, and where the other queue had to be read meanwhile, snd_nxt is
 * read once more: a byte on the wire that the target takes for unsent makes it refuse the ACK.
 */
static int select_send_queue(struct repair *r, int fd, struct linux_conn *conn)
{
	int err = repair_set_int(r, fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);

	if (!err)
		conn->flags |= CONN_SEND_QUEUE;
	return err;
}

static int read_snd_nxt_again(struct repair *r, int fd, struct linux_conn *conn,
                              struct tcp_state *state)
{
	struct sock_export e;
	int err = select_send_queue(r, fd, conn);

	if (!err)
		err = repair_export(r, fd, &e);
	if (!err)
		state->d.snd_nxt = state->d.snd_max = seq_of(e.snd_nxt);
	return err;
}

/* What is not told begins anew, from cwnd and srtt. */
static void read_model(const struct repair *r, int fd, struct tcp_state *state)
{
	union tcp_cc_info info;
	socklen_t len = sizeof(info);

	if (state->c.cc_algorithm == TCP_CC_BBR &&
	    !r->sys->getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, &info, &len) &&
	    len == sizeof(info.bbr))
		sock_bbr_to_state(&info.bbr, r->now_ns, &state->d.cc);
}

static void drop_queues(struct buf_pool *pool, struct tcp_state *state)
{
	buf_put_chain(pool, state->d.send.buf);
	buf_put_chain(pool, state->d.recv.buf);
	state->d.send.buf = state->d.recv.buf = NIL;
}

static enum status freeze_status(int err, u64 *ret_detail)
{
	*ret_detail = (u64)-err;
	return err == -ENOBUFS  ? STATUS_NO_SEND_BUFFERS
	       : err == -ENOMEM ? STATUS_NO_MEMORY
	                        : STATUS_FAILED;
}

enum status repair_stop(struct repair *r, int fd, struct linux_conn *conn, u64 *ret_detail)
{
	int err = repair_set_int(r, fd, TCP_REPAIR, TCP_REPAIR_ON);

	if (err)
		return freeze_status(err, ret_detail);
	err = select_send_queue(r, fd, conn);
	if (!err)
		return STATUS_OK;
	repair_thaw(r, fd, conn);
	return freeze_status(err, ret_detail);
}

/* A timer or bytes on their way may change the socket still: then the lock is needed. */
static bool stands_still(const struct sock_export *e)
{
	return !e->pending && e->write_seq == e->snd_nxt &&
	       !(e->facts & (EXPORT_DELACK | EXPORT_BACKLOG));
}

enum status repair_freeze(struct repair *r, const struct frozen_socket *socket,
                          struct tcp_state *ret_state, struct buf_pool *pool, u64 *ret_detail)
{
	struct linux_conn *conn = socket->conn;
	int fd = socket->fd, err = socket->err;
	struct sock_export e = *socket->read;
	enum status status;

	if (!err && !stands_still(&e))
		err = repair_export(r, fd, &e);
	if (!err)
		err = flush_delayed_ack(r, fd, &e);
	if (err) {
		repair_thaw(r, fd, conn);
		return freeze_status(err, ret_detail);
	}
	/* Only now does the socket stand still: what inspection found may have changed. */
	status = reasons_socket(&e, true, ret_detail);
	if (status != STATUS_OK) {
		repair_thaw(r, fd, conn);
		return status;
	}
	note_frozen(conn, &e);
	sock_to_state(&e, &r->defaults, r->now_ns, ret_state);
	read_model(r, fd, ret_state);
	err = read_queues(r, fd, ret_state, pool);
	if (!err && ret_state->d.recv.len)
		err = read_snd_nxt_again(r, fd, conn, ret_state);
	if (!err)
		return STATUS_OK;
	drop_queues(pool, ret_state);
	repair_thaw(r, fd, conn);
	return freeze_status(err, ret_detail);
}

static void restore_reuse(const struct repair *r, int fd, const struct linux_conn *conn)
{
	int on = 1;

	/* Leaving repair mode has cleared it (trap 5). */
	if (conn->flags & CONN_REUSEADDR)
		(void)r->sys->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

void repair_thaw(struct repair *r, int fd, const struct linux_conn *conn)
{
	/* Leaving with 0 would send a window probe (trap 8). A kernel that does not know -1 gets 0:
	 * a probe harms less than a socket that stays in repair mode. */
	if (repair_set_int(r, fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP))
		(void)!repair_set_int(r, fd, TCP_REPAIR, 0);
	restore_reuse(r, fd, conn);
}

socklen_t repair_address(const struct linux_conn *conn, bool local, struct sockaddr_storage *ret)
{
	const u8 *addr = local ? conn->key.local : conn->key.remote;
	be16 port = local ? conn->key.local_port : conn->key.remote_port;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*in6));
	if (conn->family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		memcpy(&in->sin_addr, addr + 12, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = port;
	memcpy(&in6->sin6_addr, addr, 16);
	if (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
		in6->sin6_scope_id = conn->scope;
	return sizeof(*in6);
}

int repair_disconnect(struct repair *r, int fd, struct linux_conn *conn)
{
	const struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage addr;
	socklen_t len;

	/*
	 * A socket that goes from ESTABLISHED or CLOSE_WAIT to CLOSE counts as a reset
	 * (EstabResets), and nothing was reset here. With its FIN in the queue it goes from another
	 * state; in repair mode, with the send queue selected, the FIN is not sent.
	 */
	if ((conn->flags & CONN_SEND_QUEUE) || !select_send_queue(r, fd, conn))
		(void)r->sys->shutdown(fd, SHUT_WR);
	/* There is no way back from here, and the kernel has no reason to refuse (that none else
	 * does was tried when the backend was made): a second try is for what passes. */
	if (r->sys->connect(fd, &unspec, sizeof(unspec)) &&
	    r->sys->connect(fd, &unspec, sizeof(unspec)))
		return -errno;
	conn->flags &= (u8)~CONN_UNBOUND;
	/* Where the application, or an earlier move, bound it, it still is (trap 13). */
	if (conn->flags & CONN_PORT_BOUND)
		return 0;
	len = repair_address(conn, true, &addr);
	if (r->sys->bind(fd, (struct sockaddr *)&addr, len) && errno != EINVAL) {
		conn->flags |= CONN_UNBOUND;
		r->delayed_binds++;
	}
	return 0;
}

enum status repair_detach(struct repair *r, int fd, struct linux_conn *conn, u64 *ret_detail)
{
	int err = repair_disconnect(r, fd, conn);

	if (!err)
		return STATUS_OK;
	*ret_detail = (u64)-err;
	return STATUS_FAILED;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The module: lwIP's raw interface, an application of callbacks, and a queue of received frames.
 *
 * The packaged library is built for an operating system with threads (NO_SYS 0). Only one thread
 * calls it here, so the lock around its allocator and the check of its core lock are replaced by
 * nothing (the symbols below come before the library's own): without that each allocation would pay
 * for a mutex that a single-threaded build does not have.
 */
#include "lwip_stack.h"

#include <errno.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { QUEUE = 65536, MSG_BYTES = 64, MAX_CONNS = 20000 };

static struct netif netif;
static const struct lwip_stack_api *peer;
static uint8_t mac_bytes[6];
static struct pbuf *queue[QUEUE];
static uint32_t queue_head, queue_tail;
static struct tcp_pcb *conns[MAX_CONNS];
static uint32_t n_conns;
static bool echoing, rr_running, bulk_running;
static struct lwip_load load;

EXPORT sys_prot_t sys_arch_protect(void);
EXPORT void sys_arch_unprotect(sys_prot_t value);
EXPORT void sys_check_core_locking(void);
EXPORT const struct lwip_stack_api *lwip_stack_open(void);

sys_prot_t sys_arch_protect(void)
{
	return 0;
}

void sys_arch_unprotect(sys_prot_t value)
{
}

void sys_check_core_locking(void)
{
}

static err_t link_output(struct netif *nif, struct pbuf *p)
{
	/* LWIP_NETIF_TX_SINGLE_PBUF: one piece. */
	return peer->receive(p->payload, p->len) ? ERR_OK : ERR_MEM;
}

static err_t netif_setup(struct netif *nif)
{
	nif->name[0] = 'c';
	nif->name[1] = 'b';
	nif->output = etharp_output;
	nif->linkoutput = link_output;
	nif->mtu = 1500;
	nif->hwaddr_len = sizeof(mac_bytes);
	memcpy(nif->hwaddr, mac_bytes, sizeof(mac_bytes));
	nif->flags =
		NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

static int stack_init(uint32_t ip, const uint8_t *mac, const struct lwip_stack_api *other)
{
	ip4_addr_t addr = {lwip_htonl(ip)}, mask = {lwip_htonl(0xffffff00u)}, gw = {0};

	peer = other;
	memcpy(mac_bytes, mac, sizeof(mac_bytes));
	lwip_init();
	if (!netif_add(&netif, &addr, &mask, &gw, NULL, netif_setup, ethernet_input))
		return -ENODEV;
	netif_set_default(&netif);
	netif_set_up(&netif);
	return 0;
}

static bool stack_receive(const void *frame, uint32_t len)
{
	struct pbuf *p;

	if (queue_tail - queue_head == QUEUE)
		return false;
	p = pbuf_alloc(PBUF_RAW, (uint16_t)len, PBUF_RAM);
	if (!p)
		return false;
	memcpy(p->payload, frame, len);
	queue[queue_tail++ % QUEUE] = p;
	return true;
}

static uint32_t stack_drain(void)
{
	uint32_t until = queue_tail, n = until - queue_head;

	while (queue_head != until) {
		struct pbuf *p = queue[queue_head++ % QUEUE];

		if (netif.input(p, &netif) != ERR_OK)
			pbuf_free(p);
	}
	return n;
}

static void stack_timers(void)
{
	sys_check_timeouts();
}

static void on_error(void *arg, err_t err)
{
	load.failed++;
}

static err_t on_server_data(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	if (!p) {
		load.failed++;
		return ERR_OK;
	}
	load.bytes += p->tot_len;
	tcp_recved(pcb, p->tot_len);
	if (echoing) {
		if (tcp_write(pcb, p->payload, p->len, TCP_WRITE_FLAG_COPY) != ERR_OK)
			load.failed++;
		tcp_output(pcb);
	}
	pbuf_free(p);
	return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	tcp_recv(pcb, on_server_data);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);
	load.open++;
	return ERR_OK;
}

static int stack_listen(uint16_t port, bool echo)
{
	struct tcp_pcb *pcb = tcp_new();

	echoing = echo;
	if (!pcb || tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK)
		return -EADDRINUSE;
	pcb = tcp_listen(pcb);
	if (!pcb)
		return -ENOMEM;
	tcp_accept(pcb, on_accept);
	return 0;
}

static void send_request(struct tcp_pcb *pcb)
{
	static const uint8_t request[MSG_BYTES];

	if (tcp_write(pcb, request, sizeof(request), TCP_WRITE_FLAG_COPY) != ERR_OK)
		load.failed++;
	load.outstanding++;
	tcp_output(pcb);
}

static err_t on_client_data(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	if (!p) {
		load.failed++;
		return ERR_OK;
	}
	tcp_recved(pcb, p->tot_len);
	load.messages += p->tot_len / MSG_BYTES;
	load.outstanding -= p->tot_len / MSG_BYTES;
	pbuf_free(p);
	if (rr_running)
		send_request(pcb);
	return ERR_OK;
}

static void write_bulk(struct tcp_pcb *pcb)
{
	static const uint8_t bytes[65536];
	uint32_t room = tcp_sndbuf(pcb);

	if (room && tcp_write(pcb, bytes, (uint16_t)(room < 0xffff ? room : 0xffff),
	                      TCP_WRITE_FLAG_COPY) == ERR_OK)
		tcp_output(pcb);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	if (bulk_running)
		write_bulk(pcb);
	return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	load.open++;
	return ERR_OK;
}

static int stack_connect(uint32_t ip, uint16_t port)
{
	ip_addr_t to = IPADDR4_INIT(lwip_htonl(ip));
	struct tcp_pcb *pcb = n_conns < MAX_CONNS ? tcp_new() : NULL;

	if (!pcb)
		return -ENOMEM;
	conns[n_conns++] = pcb;
	tcp_recv(pcb, on_client_data);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);
	return tcp_connect(pcb, &to, port, on_connected) == ERR_OK ? 0 : -ENETUNREACH;
}

static void stack_rr(bool run)
{
	rr_running = run;
	for (uint32_t i = 0; run && i < n_conns; i++)
		send_request(conns[i]);
}

static void stack_bulk(bool run)
{
	bulk_running = run;
	if (run)
		write_bulk(conns[0]);
}

static const struct lwip_stack_api api = {
	.init = stack_init,
	.receive = stack_receive,
	.drain = stack_drain,
	.timers = stack_timers,
	.listen = stack_listen,
	.connect = stack_connect,
	.rr = stack_rr,
	.bulk = stack_bulk,
	.load = &load,
};

const struct lwip_stack_api *lwip_stack_open(void)
{
	return &api;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The life of one connection between a host, a team and two targets, A and B: offload in two
 * phases, update, posted send, forward, upload with commit or roll-back, upload requests, and the
 * death of A at any moment, after which B goes on from what A left in its arena (or the team asks
 * the host to take the connection back).
 *
 * What the letters of a real call carry is cut down to what the order of calls can break:
 *   rcv     the number of the last segment that was received: all of DELEGATED
 *   cached  a version number: all of CACHED. The host owns it, targets have copies
 * Segments are numbered; the peer sends the next one when the last was acknowledged.
 *
 * What must hold:
 *   one owner      at most one of host, A, B runs the connection             OWNERS, always
 *   nothing lost   whoever runs it has every segment that was acknowledged   OWNERS, always
 *   completions    each call completes once: a second one fails an assertion, a missing one
 *                  leaves its caller waiting, which spin reports as an invalid end state
 *   no use after   no call reaches a target that has given the object back
 *   updates        a target that runs the connection has the host's CACHED when nothing is pending
 *
 * check.py verifies it and then each -DMUTANT_..., which breaks one rule and must be found.
 */
#define HOST 2 /* targets are 0 and 1 */
#define SEGMENTS 2
#define ACTIONS 3 /* of the host's own will, in one run */

mtype = { offload, transfer, give_up, upload, commit, resume, update, send, forward,
	  ok, refused, failed, in_progress };
mtype = { nothing, reserved, running, uploading }; /* what a target has of the connection */

chan down = [4] of { mtype, byte };        /* host to team: call, argument */
chan up = [4] of { mtype, mtype, byte };   /* team to host: call, status, argument */
chan to[2] = [6] of { mtype, byte };       /* team to target */
chan from[2] = [4] of { mtype, mtype, byte };
chan ask = [1] of { bit };                 /* upload request, once in a run */
bool asked;

bool runs[3];        /* who answers segments and sends */
byte rcv[3];         /* targets: in the arena, which outlives them */
byte copy[2];        /* of CACHED, in the arena */
mtype has[2] = nothing; /* in the arena */
bool posted[2];      /* a send that waits for its acknowledgement; in the arena */
bool dead[2];
byte cached;         /* the host's */
byte acked;          /* what the peer was told */
byte parked;         /* segment that waits in the host during a move; 0: none */
bool moving;         /* the host parks segments */
byte list_rcv, list_cached; /* the block list on its way */
byte member;         /* the member that the team uses */
bool finished;       /* the host has ended its run */

#define ONE_OWNER (runs[0] + runs[1] + runs[HOST] <= 1)
#define HAS_ALL(x) (!runs[x] || rcv[x] == acked)
#define OWNERS assert(ONE_OWNER); assert(HAS_ALL(0) && HAS_ALL(1) && HAS_ALL(HOST))

/* -- the peer ---------------------------------------------------------------------------------- */

inline take(x, n) {
	if
	:: n == rcv[x] + 1 -> rcv[x] = n; acked = n
	:: else /* it was received before */
	fi
}

active proctype Peer() {
	do
	:: acked == SEGMENTS -> break
	:: atomic { acked < SEGMENTS && runs[HOST] -> take(HOST, acked + 1); OWNERS }
#ifdef MUTANT_ACK_EARLY /* the acknowledgement leaves before the bytes lie in the arena */
	:: atomic { acked < SEGMENTS && runs[member] -> acked++ };
	   atomic { if :: runs[member] -> rcv[member] = acked :: else fi }
#else
	:: atomic { acked < SEGMENTS && runs[member] -> take(member, acked + 1); OWNERS }
#endif
	:: atomic { acked < SEGMENTS && moving && !parked -> parked = acked + 1 }
	od
}

/* -- a target ---------------------------------------------------------------------------------- */

inline snapshot(t) {
	has[t] = uploading;
#ifndef MUTANT_RUNS_ON /* it goes on after the snapshot */
	runs[t] = false;
#endif
	list_rcv = rcv[t];
	if
	:: posted[t] -> posted[t] = false; from[t]!send,in_progress,0
	:: else
	fi;
	from[t]!upload,ok,0
}

proctype Target(byte t) {
	byte n;

	end: do
	:: atomic { !dead[t] && to[t]?[offload,_] -> to[t]?offload,_;
		assert(has[t] == nothing);
		if /* a limit may be reached */
		:: has[t] = reserved; from[t]!offload,ok,0
		:: from[t]!offload,refused,0
		fi }
	:: atomic { !dead[t] && to[t]?[transfer,_] -> to[t]?transfer,_;
		assert(has[t] == reserved);
		rcv[t] = list_rcv; copy[t] = list_cached; list_rcv = 0; list_cached = 0;
		has[t] = running; runs[t] = true;
		OWNERS } ;
	   /* It may die between the two: live, but nobody was told. */
	   atomic { if :: !dead[t] -> from[t]!transfer,ok,0 :: dead[t] fi }
	:: atomic { !dead[t] && to[t]?[give_up,_] -> to[t]?give_up,_; has[t] = nothing }
	:: atomic { !dead[t] && to[t]?[upload,_] -> to[t]?upload,_; assert(has[t] == running); snapshot(t) }
	:: atomic { !dead[t] && to[t]?[commit,_] -> to[t]?commit,_; assert(has[t] == uploading); has[t] = nothing }
	:: atomic { !dead[t] && to[t]?[resume,_] -> to[t]?resume,_;
		assert(has[t] == uploading); has[t] = running; runs[t] = true; OWNERS }
	:: atomic { !dead[t] && to[t]?[update,_] -> to[t]?update,n;
		assert(has[t] != nothing && has[t] != reserved); /* no use after */
		copy[t] = n; n = 0; from[t]!update,ok,0 }
	:: atomic { !dead[t] && to[t]?[send,_] -> to[t]?send,_;
		assert(has[t] != nothing && has[t] != reserved);
		if
		:: has[t] == running -> posted[t] = true
		:: else -> from[t]!send,in_progress,0
		fi }
	:: atomic { !dead[t] && to[t]?[forward,_] -> to[t]?forward,n;
		assert(has[t] != nothing && has[t] != reserved);
		if
		:: has[t] == running -> take(t, n); from[t]!forward,ok,n
		:: else -> from[t]!forward,in_progress,n
		fi;
		n = 0 }
	:: atomic { !dead[t] && posted[t] && has[t] == running ->
		posted[t] = false; from[t]!send,ok,0 }
	:: atomic { !dead[t] && has[t] == running && !asked && !finished ->
		asked = true; ask!0 }
	:: dead[t] -> break
	od
}

/* A dies once, between any two steps. */
active proctype Death() {
	do
	:: atomic { !finished -> dead[0] = true; runs[0] = false; break }
	:: finished -> break
	od
}

/* Old values would only multiply the states that spin looks at. */
inline forget(call, status, n) {
	call = ok; status = ok; n = 0
}

/* -- the team ---------------------------------------------------------------------------------- */

mtype state_call = ok; /* the call of states that A was asked and has not completed; ok: none */
bool out_update, out_send, out_commit, out_resume, out_give_up;
byte out_forward, out_version; /* 0: none */

inline note(call, n) {
	if
	:: call == offload || call == transfer || call == upload -> state_call = call
	:: call == update -> out_update = true; out_version = n
	:: call == send -> out_send = true
	:: call == forward -> out_forward = n
	:: call == commit -> out_commit = true
	:: call == resume -> out_resume = true
	:: call == give_up -> out_give_up = true
	:: else
	fi
}

inline settled(call) {
	if
	:: call == offload || call == transfer || call == upload ->
		state_call = ok;
		/* They are served in order: the host's word on the one before has been, too. */
		out_commit = false; out_resume = false; out_give_up = false
	:: call == update -> out_update = false; out_version = 0
	:: call == send -> out_send = false
	:: call == forward -> out_forward = 0
	:: else
	fi
}

/* What A had and what it was asked, put in order before B goes on with it. An upload that the host
 * was told of waits for the host's word, which may not have arrived yet; so does a reservation. */
inline settle_arena() {
	if
	:: has[0] == reserved && (state_call == offload || state_call == transfer || out_give_up) ->
		has[0] = nothing
#ifndef MUTANT_COMMIT_FORGOTTEN /* the host has imported, and the dead target's state resumes */
	:: has[0] == uploading && out_commit -> has[0] = nothing
	:: has[0] == uploading && (out_resume || state_call == upload) -> has[0] = running
#else
	:: has[0] == uploading -> has[0] = running
#endif
	:: else
	fi;
	posted[0] = false; out_commit = false; out_resume = false; out_give_up = false;
#ifdef MUTANT_UNDO_RUNNING /* a transfer that nobody was told of is undone, though it ran */
	if :: state_call == transfer -> has[0] = nothing :: else fi;
#endif
	has[1] = has[0]; rcv[1] = rcv[0]; copy[1] = copy[0];
	runs[1] = (has[1] == running); has[0] = nothing;
	member = 1; OWNERS
}

/* Each outstanding call completes once: here, or by B, which is asked again. */
inline settle_calls() {
	if
	:: out_send ->
#ifndef MUTANT_COMPLETION_LOST /* what waited at the dead target never completes */
		up!send,in_progress,0;
#endif
		out_send = false
	:: else
	fi;
	if :: out_forward -> up!forward,in_progress,out_forward; out_forward = 0 :: else fi;
	if :: out_update -> to[1]!update,out_version :: else fi;
	if
	:: state_call == offload -> up!offload,refused,0; state_call = ok
	:: state_call == transfer && has[1] == running -> up!transfer,ok,0; state_call = ok
	:: state_call == transfer && has[1] != running -> up!transfer,failed,0; state_call = ok
#ifndef MUTANT_NOT_ASKED_AGAIN /* the successor never hears of the upload */
	:: state_call == upload -> to[1]!upload,0
#endif
	:: else
	fi
}

active proctype Team() {
	mtype call, status;
	byte n;

	member = 0;
	run Target(0); run Target(1);
	do
	:: atomic { !(member == 0 && dead[0]) && nempty(down) ->
		down?call,n;
		if :: member == 0 -> note(call, n) :: else fi;
		to[member]!call,n; forget(call, status, n) }
	/* What a target said before it died counts. */
	:: atomic { from[member]?call,status,n ->
		if :: member == 0 -> settled(call) :: else fi;
		up!call,status,n; forget(call, status, n) }
#ifdef MUTANT_COMPLETION_DOUBLED /* failover before what A has said was read */
	:: atomic { member == 0 && dead[0] ->
#else
	:: atomic { member == 0 && dead[0] && empty(from[0]) ->
#endif
		settle_arena();
		do :: to[0]?_,_ :: empty(to[0]) -> break od;
		settle_calls() };
#ifdef MUTANT_COMPLETION_DOUBLED
	   do
	   :: atomic { from[0]?call,status,n -> up!call,status,n }
	   :: empty(from[0]) -> break
	   od;
#endif
	   if /* B is as good as A was, or the host is asked to take back what is there */
	   :: skip
	   :: atomic { !asked && !finished -> asked = true; ask!0 }
	   fi
	:: finished && empty(down) && empty(from[member]) && empty(to[member]) -> break
	od
}

/* -- the host ---------------------------------------------------------------------------------- */

mtype = { in_host, reserving, transferring, offloaded, going_home };

active proctype Host() {
	mtype state = in_host, status;
	byte left = ACTIONS, n, told;
	bool updating, sending, forwarding;

	cached = 1;
	runs[HOST] = true;
	do
	:: atomic { state == in_host && left && !forwarding && !sending && !updating ->
		left--; state = reserving; down!offload,0 }
	:: atomic { up?offload,status,_ ->
		assert(state == reserving);
		if
		:: status == refused -> state = in_host
		:: status == ok -> /* frozen from here on */
			if
			:: state = transferring; runs[HOST] = false; moving = true;
			   list_rcv = rcv[HOST]; list_cached = cached; told = cached;
			   down!transfer,0
			:: state = in_host; down!give_up,0 /* it cannot be frozen */
			fi
		fi;
		status = ok }
	:: atomic { up?transfer,status,_ ->
		assert(state == transferring);
		moving = false;
		if
		:: status == ok -> state = offloaded;
#ifdef MUTANT_UPDATE_LOST /* what changed during the move is not told */
			told = cached
#endif
		:: status != ok ->
			state = in_host; runs[HOST] = true;
			take(HOST, parked); parked = 0
		fi;
		status = ok;
		OWNERS }
	/* CACHED changes at any time; recorded in a move, told afterwards, one at a time. */
	:: atomic { left && state != in_host -> left--; cached++ }
	:: atomic { state == offloaded && told != cached && !updating ->
		told = cached; updating = true; down!update,cached }
	:: atomic { up?update,_,_ -> assert(updating); updating = false }
	/* Also while the upload is under way: it is answered, not served. */
	:: atomic { (state == offloaded || state == going_home) && left && !sending ->
		left--; sending = true; down!send,0 }
	:: atomic { up?send,_,_ -> assert(sending); sending = false }
	/* What was parked, or came by another way. */
	:: atomic { (state == offloaded || state == going_home) && parked && !forwarding ->
		forwarding = true; down!forward,parked; parked = 0 }
	:: atomic { up?forward,status,n ->
		assert(forwarding);
		forwarding = false;
		if
		:: status == ok
		:: status != ok && state == in_host -> take(HOST, n)
		:: else -> if :: !parked -> parked = n :: else fi
		fi;
		n = 0; status = ok }
	:: atomic { state == offloaded && (left || nempty(ask)) ->
		if :: nempty(ask) -> ask?_ :: empty(ask) -> left-- fi;
		state = going_home; moving = true; down!upload,0 }
	:: atomic { up?upload,_,_ ->
		assert(state == going_home);
		moving = false;
		if
		:: rcv[HOST] = list_rcv; list_rcv = 0; state = in_host;
		   down!commit,0; runs[HOST] = true;
		   take(HOST, parked); parked = 0
#ifdef MUTANT_USE_AFTER /* a call on a handle that was given back */
		   ; if :: !updating -> updating = true; down!update,cached :: else fi
#endif
		:: left -> left--; list_rcv = 0; state = offloaded; down!resume,0 /* the import failed */
		fi;
		OWNERS }
	/* At the end everything is at home and nothing is owed. */
	:: atomic { state == in_host && !left && !updating && !sending && !forwarding && !parked ->
		finished = true;
		break }
	:: atomic { state == offloaded && !left && told == cached && !updating && !sending &&
		    !forwarding && !parked ->
		assert(copy[member] == cached);
		state = going_home; moving = true; down!upload,0 }
	od
}

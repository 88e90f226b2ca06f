/*
 * The life of messages under the commit log (doc/commit.md), for spin: acceptance by two
 * writers, one of whom leaves his message in a slot, without a name; checkpoints, delivery,
 * notes, death of processes, power cuts, recovery. What it shows, and what not: README.md.
 *
 * Everything has two sides: what the programs see (..._now), and what a power cut leaves
 * (..._disk). The disk may take over any change at any time; a sync makes it do so. One
 * process makes one step of one actor at a time, so a power cut can stop all of them.
 */
#ifndef CUTS
#define CUTS 1        /* power cuts */
#endif
#ifndef DEATHS
#define DEATHS 1      /* of single processes */
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 1
#endif

#define MESSAGES 3
#define REFUSED  2    /* the last one gets a 5xx after its file was begun */
#define SEGMENTS 3    /* one of each writer, one of notes */
#define NOTES    2
#define SEGMENT(m) (m % 2)

/* Where the file of a message is. */
#define NOWHERE  0
#define INCOMING 1
#define ACTIVE   2
#define SLOT     3 /* without a name: only its record says whose bytes these are */
#define FIRST_PLACE(m) (m == 1 -> INCOMING : SLOT)

/* Steps of an acceptance, of a delivery, of a checkpoint, of recovery. */
#define START 0
#define DONE  8
#define DEAD  9

byte name_now[MESSAGES], name_disk[MESSAGES];
bit data_now[MESSAGES], data_disk[MESSAGES];     /* whole, and ready by its mode */
bit record_now[MESSAGES], record_disk[MESSAGES]; /* in its segment */
bit note_now[MESSAGES], note_disk[MESSAGES];     /* "over", in the segment of notes */
byte stamp[MESSAGES], note_stamp[MESSAGES];
byte checkpoint, clock = 1;

byte session[MESSAGES], delivery[MESSAGES];
bit locked[MESSAGES], acknowledged[MESSAGES], over_for_good[MESSAGES];
byte delivered[MESSAGES];
byte writing, covers, left = CHECKPOINTS;  /* checkpoint: its step, its time */
byte recovery, cuts = CUTS, deaths = DEATHS, crashes;
bit given_up[SEGMENTS];
bit renamed[MESSAGES]; /* from its slot, since the last sync of all */
byte i;

#define EACH(m) for (m : 0 .. MESSAGES - 1)
#define UP      (recovery == 0)
#define WHOLE(m) (name_now[m] != NOWHERE && data_now[m])
#define COUNTS(time) (time >= checkpoint)
#define IS_OVER(m) (note_now[m] && COUNTS(note_stamp[m]))

inline sync_all() {
	EACH(i) { name_disk[i] = name_now[i]; data_disk[i] = data_now[i]; renamed[i] = 0 }
}
inline sync_segment(s) {
	EACH(i) {
		if
		:: s == NOTES -> note_disk[i] = note_now[i]
		:: s != NOTES && SEGMENT(i) == s -> record_disk[i] = record_now[i]
		:: else
		fi
	}
}
inline empty_segment(s) {
	EACH(i) {
		if
		:: s == NOTES -> note_now[i] = 0
		:: s != NOTES && SEGMENT(i) == s -> record_now[i] = 0
		:: else
		fi
	}
}
inline read_clock(time) { time = clock; clock++ }
/* What is refused is refused before its file is made ready. */
inline write_file(m) { name_now[m] = FIRST_PLACE(m); data_now[m] = (m != REFUSED); locked[m] = 1 }
inline name_back(m) {
	if
	:: name_now[m] == ACTIVE -> name_now[m] = INCOMING
	:: else
	fi
}

/* --- acceptance: file, time, record, sync, 250 --- */

inline accept(m) {
	if
#ifdef STAMP_BEFORE_FILE
	:: session[m] == 0 && m != REFUSED -> read_clock(stamp[m]); session[m] = 1
	:: session[m] == 1 && m != REFUSED -> write_file(m); session[m] = 2
	:: session[m] == 0 && m == REFUSED -> write_file(m); session[m] = 1
#else
	:: session[m] == 0 -> write_file(m); session[m] = 1
	:: session[m] == 1 && m != REFUSED -> read_clock(stamp[m]); session[m] = 2
#endif
	:: session[m] == 1 && m == REFUSED -> name_now[m] = NOWHERE; session[m] = DONE
	:: session[m] == 2 -> record_now[m] = 1; session[m] = 3
#ifdef NO_SYNC
	:: session[m] == 3 -> session[m] = 4
#else
	:: session[m] == 3 -> sync_segment(SEGMENT(m)); session[m] = 4
#endif
	:: session[m] == 4 -> acknowledged[m] = 1; locked[m] = 0; session[m] = DONE
	fi
}

/* --- delivery: move, deliver, remove, note, sync of notes --- */

/* What lies in a slot was announced, or qmgr found the record of a writer that died. */
#define KNOWN(m) (name_now[m] == INCOMING || (name_now[m] == SLOT && \
	(acknowledged[m] || (session[m] == DEAD && record_now[m]))))
#define TAKES(m) (delivery[m] == 0 && KNOWN(m) && data_now[m] && !locked[m])

inline hand_over(m) {
	/* Twice only when something crashed, and never what was over for good. */
	assert(m != REFUSED);
	assert(delivered[m] <= crashes);
	assert(!over_for_good[m]);
	delivered[m]++
}
inline take_note(m) { read_clock(note_stamp[m]); note_now[m] = 1 }
inline deliver(m) {
	if
	:: delivery[m] == 0 ->
		renamed[m] = renamed[m] || name_now[m] == SLOT; name_now[m] = ACTIVE; delivery[m] = 1
	/* In its slot, when it does not take long. */
	:: delivery[m] == 0 && name_now[m] == SLOT -> delivery[m] = 1
#ifdef NOTE_BEFORE_DELIVERY
	:: delivery[m] == 1 -> take_note(m); delivery[m] = 2
	:: delivery[m] == 2 -> hand_over(m); delivery[m] = 3
	:: delivery[m] == 3 -> name_now[m] = NOWHERE; delivery[m] = 4
#else
	:: delivery[m] == 1 -> hand_over(m); delivery[m] = 2
	:: delivery[m] == 2 -> name_now[m] = NOWHERE; delivery[m] = 3
	:: delivery[m] == 3 -> take_note(m); delivery[m] = 4
#endif
	:: delivery[m] == 4 -> sync_segment(NOTES);
		/* A message whose record counts no more is removed by its file alone. */
		over_for_good[m] = COUNTS(stamp[m]) && record_disk[m] && note_disk[m];
		delivery[m] = DONE
	fi
}

/* --- checkpoint: time, sync of all, written down; then segments are used again --- */

inline use_again(s) {
	bool usable = true;
	EACH(i) {
		if
		:: s != NOTES && SEGMENT(i) == s && record_now[i] && COUNTS(stamp[i]) -> usable = false
		:: s == NOTES && note_now[i] && COUNTS(note_stamp[i]) -> usable = false
#ifndef NO_WAIT_FOR_NAMES
		:: s != NOTES && SEGMENT(i) == s && record_now[i] && name_now[i] == SLOT -> usable = false
#endif
#ifndef NAMES_NOT_SYNCED
		:: s != NOTES && SEGMENT(i) == s && record_now[i] && renamed[i] -> usable = false
#endif
		:: else
		fi
	}
	if
	:: usable -> empty_segment(s)
	:: else
	fi
}
inline use_some_again() {
	if
	:: use_again(0)
	:: use_again(1)
	:: use_again(NOTES)
	fi
}
/* A message that the checkpoint covers while the disk still has its file: its record counts
 * no more, and only the removal itself, when the disk takes it, keeps it away. */
inline cover(time) {
	checkpoint = time;
	EACH(i) {
		if
		:: !COUNTS(stamp[i]) && name_disk[i] != NOWHERE -> over_for_good[i] = 0
		:: else
		fi
	}
}
inline make_checkpoint() {
	if
#ifdef LATE_CHECKPOINT_STAMP
	:: writing == 0 -> left--; writing = 1
#else
	:: writing == 0 -> left--; read_clock(covers); writing = 1
#endif
#ifdef NO_SYNC_OF_ALL
	:: writing == 1 -> writing = 2
#else
	:: writing == 1 -> sync_all(); writing = 2
#endif
#ifdef LATE_CHECKPOINT_STAMP
	:: writing == 2 -> read_clock(covers); writing = 3
#else
	:: writing == 2 -> writing = 3
#endif
	:: writing == 3 -> cover(covers); writing = 4
	:: writing == 4 -> use_some_again(); writing = 0
	fi
}

/* --- what goes wrong --- */

inline writer_dies(m) {
	session[m] = DEAD; locked[m] = 0
}
inline qmgr_dies() {
	EACH(i) {
		name_back(i);
		/* Notes that were not written are lost with it. */
		delivery[i] = (delivery[i] == DONE -> DONE : START)
	}
}
inline power_cut() {
	EACH(i) {
		name_now[i] = name_disk[i]; data_now[i] = data_disk[i];
		record_now[i] = record_disk[i]; note_now[i] = note_disk[i];
		session[i] = (session[i] == DONE -> DONE : DEAD);
		delivery[i] = START; locked[i] = 0; renamed[i] = 0
	}
	for (i : 0 .. SEGMENTS - 1) { given_up[i] = 0 }
	writing = 0; clock = 1; recovery = 1
}

/* --- recovery --- */

inline settle(m) {
	if
	:: record_now[m] && COUNTS(stamp[m]) ->
		if
#ifndef NO_NOTES_READ
		:: IS_OVER(m) -> name_now[m] = (name_now[m] == SLOT -> SLOT : NOWHERE)
#endif
#ifndef NO_RESTORE
		:: !IS_OVER(m) && !WHOLE(m) -> name_now[m] = INCOMING; data_now[m] = 1
#endif
		:: !IS_OVER(m) && WHOLE(m) && name_now[m] == SLOT -> name_now[m] = INCOMING
		:: else
		fi
#ifndef COVERED_STAYS
	:: record_now[m] && !COUNTS(stamp[m]) && !IS_OVER(m) && WHOLE(m) && name_now[m] == SLOT ->
		name_now[m] = INCOMING
#endif
	:: else
	fi
}
inline empty_slots() {
	EACH(i) {
		if
		:: name_now[i] == SLOT -> name_now[i] = NOWHERE
		:: else
		fi
	}
}
inline give_up(s) {
	empty_segment(s); sync_segment(s); given_up[s] = 1
}
inline give_up_one() {
	if
	:: !given_up[0] -> give_up(0)
	:: !given_up[1] -> give_up(1)
	:: !given_up[NOTES] -> give_up(NOTES)
	:: given_up[0] && given_up[1] && given_up[NOTES] -> recovery = 5
	fi
}
inline recover() {
	if
	:: recovery == 1 -> settle(0); settle(1); settle(2);
#ifndef SLOTS_EMPTIED_LATE
		empty_slots();
#endif
		recovery = 2
#ifdef NO_SYNC_BEFORE_FORGETTING
	:: recovery == 2 -> recovery = 3
#else
	:: recovery == 2 -> sync_all(); recovery = 3
#endif
#ifdef FORGET_ONE_BY_ONE
	:: recovery == 3 -> recovery = 4
#else
	:: recovery == 3 -> checkpoint = 255; recovery = 4
#endif
	:: recovery == 4 -> give_up_one()
	:: recovery == 5 -> checkpoint = 0; qmgr_dies(); empty_slots();
		EACH(i) { delivery[i] = START }
		recovery = 0
	fi
}

#define BUSY(m)  (session[m] < DONE)
#define WORKS(m) (delivery[m] != 0 && delivery[m] != DONE)
#define QUIET    (UP && writing == 0 && !BUSY(0) && !BUSY(1) && !BUSY(2) && !WORKS(0) && \
	!WORKS(1) && !WORKS(2) && !TAKES(0) && !TAKES(1) && !TAKES(2))

active proctype everything() {
	byte m;
	do
	:: atomic { UP && BUSY(0) -> accept(0) }
	:: atomic { UP && BUSY(1) -> accept(1) }
	:: atomic { UP && BUSY(2) -> accept(2) }
	:: atomic { UP && (TAKES(0) || WORKS(0)) -> deliver(0) }
	:: atomic { UP && (TAKES(1) || WORKS(1)) -> deliver(1) }
	:: atomic { UP && (TAKES(2) || WORKS(2)) -> deliver(2) }
	:: atomic { UP && (writing > 0 || left > 0) -> make_checkpoint() }
	:: atomic { recovery > 0 -> recover() }
	/* The disk takes what it has been given, when it likes. */
	:: atomic { name_disk[0] != name_now[0] -> name_disk[0] = name_now[0] }
	:: atomic { name_disk[1] != name_now[1] -> name_disk[1] = name_now[1] }
	:: atomic { name_disk[2] != name_now[2] -> name_disk[2] = name_now[2] }
	:: atomic { data_disk[0] != data_now[0] -> data_disk[0] = data_now[0] }
	:: atomic { data_disk[1] != data_now[1] -> data_disk[1] = data_now[1] }
	:: atomic { data_disk[2] != data_now[2] -> data_disk[2] = data_now[2] }
	:: atomic { record_disk[0] != record_now[0] -> sync_segment(0) }
	:: atomic { record_disk[1] != record_now[1] -> sync_segment(1) }
	:: atomic { note_disk[0] != note_now[0] || note_disk[1] != note_now[1] -> sync_segment(NOTES) }
	:: atomic { UP && deaths > 0 && BUSY(0) && session[0] > 0 -> deaths--; crashes++; writer_dies(0) }
	:: atomic { UP && deaths > 0 && BUSY(1) && session[1] > 0 -> deaths--; crashes++; writer_dies(1) }
	:: atomic { UP && deaths > 0 && (WORKS(0) || WORKS(1)) -> deaths--; crashes++; qmgr_dies() }
	:: atomic { cuts > 0 -> cuts--; crashes++; power_cut() }
	:: atomic { QUIET -> break }
	od;
	EACH(m) { assert(!acknowledged[m] || delivered[m] > 0) }
	assert(!delivered[REFUSED])
}

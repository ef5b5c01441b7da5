/* What a source is made of: shared by source.c, which is its face, and source_link.c, which makes
 * and replaces its connections. */
#ifndef WEIR_WEBSOCKET_SOURCE_STATE_H
#define WEIR_WEBSOCKET_SOURCE_STATE_H

#include "websocket/attempt.h"
#include "websocket/source.h"

struct link {
	struct source *source;
	struct attempt *attempt; /* NULL: free */
	struct source_place place;
	bool opened;
	bool ready;    /* all is said that is to be said first */
	bool replaced; /* it retires, since another one took its place */
	bool ended;
	uint64_t opened_ns;
};

struct source {
	struct source_options options;
	struct loop *loop;
	struct loop_timer timer, age_timer;
	struct link links[SOURCE_LANES];
	struct backoff backoff;
	uint64_t next_ns; /* when the next connection is to begin; 0: none is planned */
	bool renewing;	  /* a link is old, and the one to replace it is not ready */
	bool closing;	  /* no connection is to begin any more */
	bool over;
	struct source_counters counters; /* of the links that are gone */
	struct client_end end;		 /* of the last of them */
};

static inline bool link_is_alive(const struct link *link)
{
	return link->attempt && !link->ended;
}

static inline bool source_has_alive(const struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (link_is_alive(&source->links[i]))
			return true;
	return false;
}

/* Begins a connection by a link that is free. */
int source_connect(struct source *source, struct link *link);

/* Callbacks of the timers; their data is the source. */
int source_on_timer(void *data);
int source_on_age(void *data);

#endif

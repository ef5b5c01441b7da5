/*
 * Numbers only go up, so that the last one wanted is an end. Times may go back: messages of several
 * sources are not quite in the order of their times, and a clock may be set. A few seconds more are
 * looked at for the former; the latter would take reading all that follows.
 */
#include "cli/selection.h"

static unsigned kind_of(const struct record *record)
{
	if (format_is_event(&record->entry))
		return SELECTION_EVENTS;
	return record->entry.kind == FORMAT_TEXT ? SELECTION_TEXT : SELECTION_BINARY;
}

bool selection_has(const struct selection *selection, const struct record *record)
{
	const struct format_entry *entry = &record->entry;

	return (selection->kinds & kind_of(record)) && record->seq >= selection->from_seq &&
	       record->seq <= selection->to_seq && entry->time_ns >= selection->since_ns &&
	       entry->time_ns < selection->until_ns &&
	       (!selection->of_source || entry->source == selection->source);
}

bool selection_is_default(const struct selection *selection)
{
	return selection->kinds == SELECTION_MESSAGES && selection->from_seq == 0 &&
	       selection->to_seq == UINT64_MAX && selection->since_ns == 0 &&
	       selection->until_ns == UINT64_MAX && !selection->of_source;
}

bool selection_ends(const struct selection *selection, const struct record *record)
{
	return record->seq >= selection->to_seq ||
	       record->entry.time_ns >= clock_after(selection->until_ns, SELECTION_SLACK_NS);
}

"""
The whole catalogue of faults by its numbers, and what proves each row: `faults.table`, tests by name, or a reason.

`H` servers over HTTP, `N` networks, names and TLS, `A` credentials, proxies and redirects, `F` FTP, `D` disks, `P`
processes, `T` time, `M` several kernels and owners, `U` users and bad input, `J` Jupyter's front end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: How many rows each letter has.
ROWS_OF: Final = {"H": 58, "N": 16, "A": 16, "F": 13, "D": 23, "P": 17, "T": 7, "M": 12, "U": 13, "J": 10}
WORDS: Final = {
    "H": "Servers over HTTP",
    "N": "Networks, names, TLS",
    "A": "Credentials, proxies, redirects",
    "F": "FTP",
    "D": "Disks and file systems",
    "P": "Processes, crashes, recovery",
    "T": "Time",
    "M": "Several kernels, several owners",
    "U": "Users and bad input",
    "J": "Jupyter's front end",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a row comes to its right end: names of tests, or why nothing does."""

    fault: str
    tests: tuple[str, ...] = ()
    reason: str = ""


def _by(fault: str, *tests: str) -> Proof:
    return Proof(fault, tuple(f"test_{name}" for name in tests))


#: What is not in the table of `faults`, or is more than it can show.
PROOFS: Final = {
    "H33": _by(
        "a storm of 503 over many operations",
        "what_waited_for_the_same_moment_does_not_come_back_in_the_same_moment",
        "a_host_that_cannot_be_reached_is_held_for_all",
        "a_host_that_asks_for_time_is_left_alone_while_others_go_on",
    ),
    "H39": _by("a redirect to another scheme", "another_scheme_is_refused_by_name_and_without_the_rest"),
    "H40": _by(
        "a redirect from https to http",
        "https_is_not_left_for_http",
        "https_is_left_for_http_where_the_user_allows_it",
    ),
    "H41": _by("301", "a_redirect_is_followed_and_the_answer_tells_where_to"),
    "H42": _by(
        "another target of a redirect at each attempt",
        "a_paused_download_goes_on_at_another_server_that_has_the_same_file",
    ),
    "H54": _by("a length beyond 32 bits", "a_size_may_need_64_bits", "a_length_beyond_32_bits_is_counted_right"),
    "H55": _by("an answer before the body was read", "a_refusal_before_the_body_is_read_is_told_as_it_is"),
    "H56": _by("a POST whose answer breaks off", "a_post_whose_answer_broke_off_is_not_sent_again"),
    "N1": _by("a refused connection", "a_closed_port_is_a_refusal", "a_server_that_is_not_there_is_said_to_be_so"),
    "N2": _by("a black hole", "a_black_hole_is_a_timeout"),
    "N3": _by("a dead IPv6 address beside a living one", "a_dead_address_does_not_hide_a_living_one"),
    "N4": _by(
        "names without an address, names that lead inside",
        "a_name_without_an_address_is_said_so",
        "the_public_does_not_lead_into_one",
        "not_even_over_a_connection_that_is_open",
        "an_unknown_name_is_waited_for_longer",
    ),
    "N5": _by("lookups that hang", "lookups_that_hang_hold_up_no_more_than_their_slots"),
    "N6": _by(
        "no network for a while",
        "a_lost_network_pauses_and_its_return_lets_go_on_from_the_bytes_that_are_there",
        "a_failure_without_a_network_spends_no_attempt",
    ),
    "N7": _by(
        "a suspended machine",
        "a_stretch_in_which_nothing_could_run_is_not_held_against_the_loop",
        "a_stopped_kernels_operations_are_not_taken",
    ),
    "N8": _by("a blocked loop", "a_stretch_in_which_nothing_could_run_is_not_held_against_the_loop"),
    "N9": _by("any cuts between packets", "the_cuts_between_packets_do_not_matter"),
    "N10": _by(
        "a slow disk behind a fast network",
        "a_sink_that_lags_holds_the_server_back",
        "a_thousand_transfers_do_not_hold_a_gibibyte",
    ),
    "N11": _by(
        "certificates that prove nothing",
        "a_certificate_that_proves_nothing_is_rejected",
        "an_authority_that_the_system_does_not_know_is_refused",
    ),
    "N12": _by("trust of one's own", "the_authorities_of_a_file_are_trusted_also_after_a_restart"),
    "N14": _by("no descriptors left", "a_lack_of_descriptors_on_this_machine_is_nobodys_attempt"),
    "A1": _by(
        "a redirect to another origin",
        "credentials_and_headers_stay_with_their_origin",
        "the_users_headers_stay_with_their_origin",
    ),
    "A2": _by("a redirect there and back", "they_come_back_on_the_way_home"),
    "A3": _by("user information in a Location", "user_information_in_a_location_is_ignored"),
    "A4": _by("a body to another origin", "a_body_stays_with_its_origin", "a_body_is_not_taken_to_another_origin"),
    "A5": _by(
        "401 for ever",
        "a_server_that_is_never_satisfied_is_left",
        "an_origin_that_refuses_a_credential_is_not_asked_by_the_rest_of_the_group",
    ),
    "A6": _by("Digest in its kinds", "a_challenge_is_answered_once", "a_nonce_that_is_too_old_is_replaced"),
    "A7": _by(
        "Basic over plain http",
        "it_does_not_go_over_plain_http_to_another_machine",
        "a_password_for_a_foreign_host_over_plain_http_is_refused_at_once",
    ),
    "A8": _by("407 of a proxy", "a_refusal_of_a_real_proxy_is_told_as_the_proxys"),
    "A9": _by("407 on CONNECT", "a_refusal_of_the_proxy_is_told_without_its_user"),
    "A10": _by("the proxy's credential", "the_proxys_credential_does_not_reach_the_server"),
    "A11": _by("two users of one proxy", "connections_are_not_shared_between_the_proxys_users"),
    "A12": _by("the environment", "the_environments_proxy_is_chosen_for_each_hop", "exceptions_are_spoken_to_directly"),
    "A13": _by(
        "a credential that was changed",
        "a_password_that_was_changed_at_the_server_is_asked_for_and_no_byte_is_lost",
        "a_credential_of_the_kernel_before_that_is_wrong_now_is_asked_for",
    ),
    "A14": _by(
        "a keyring that is locked, hangs, fails, is missing",
        "a_keyring_that_hangs_is_answered_for_and_not_asked_again",
        "a_keyring_that_fails_leaves_the_secret_in_memory",
        "a_keyring_that_keeps_nothing_is_found_out",
    ),
    "A15": _by(
        "a signed link that expires", "a_link_that_expires_half_way_pauses_and_a_new_one_goes_on_without_a_byte_twice"
    ),
    "A16": _by(
        "one credential in two groups",
        "a_credential_cannot_be_pickled_and_shows_no_password",
        "a_connection_is_not_shared_between_credentials",
    ),
    "F1": _by(
        "half a file, then 226",
        "half_a_file_is_no_file_though_the_server_confirms_it",
        "without_a_size_the_framing_promises_no_length",
    ),
    "F2": _by(
        "no last word",
        "a_refusal_at_the_end_is_worth_another_try",
        "all_bytes_without_a_last_word_are_taken_with_a_note",
        "without_a_size_and_a_last_word_nothing_is_complete",
    ),
    "F3": _by(
        "REST refused, ignored, or another offset",
        "a_refused_restart_brings_the_whole_file",
        "another_offset_than_asked_for_brings_the_whole_file",
        "a_restart_that_is_agreed_to_and_ignored_is_noticed_by_the_surplus",
    ),
    "F4": _by(
        "PASV to somewhere else",
        "a_foreign_address_in_the_reply_is_not_gone_to",
        "a_port_of_a_known_service_is_not_gone_to",
        "the_unspecified_address_means_the_server",
    ),
    "F5": _by("a data port that nobody answers on", "a_data_port_that_nobody_answers_on_times_out"),
    "F6": _by("TYPE I refused", "text_mode_is_never_fallen_back_to"),
    "F7": _by("replies that are none", "what_is_not_ftp_is_a_violation", "an_endless_reply_is_cut"),
    "F8": _by("line ends in a path", "no_path_can_end_a_command"),
    "F9": _by("another version", "another_modification_time_is_another_version"),
    "F10": _by("TLS refused", "a_refusal_ends_it_before_the_login", "a_server_without_tls_never_gets_the_login"),
    "F11": _by("a full server", "a_full_server_is_worth_another_try_and_concerns_the_host"),
    "F12": _by("listings", "no_listing_is_ever_asked_for"),
    "F13": _by("odd user information", "user_information_is_decoded_once"),
    "D1": _by(
        "a full disk",
        "a_full_disk_is_told_from_a_broken_one",
        "the_battery_saver_and_a_full_disk_pause_and_name_themselves",
    ),
    "D2": _by(
        "a full disk under the state file",
        "on_a_full_disk_nothing_is_accepted_that_would_be_lost",
        "on_a_full_disk_updates_wait_until_there_is_room",
    ),
    "D3": _by("short writes", "short_writes_are_gone_on_with", "a_write_past_the_limit_of_the_system_is_a_full_disk"),
    "D4": _by(
        "EIO and ENOSPC at every call",
        "a_sample_of_the_calls_is_survived",
        "a_sync_that_fails_ends_the_transfer_and_leaves_the_last_good_record",
    ),
    "D5": _by(
        "folders that are read-only, missing, gone",
        "a_folder_that_cannot_be_written_to",
        "a_folder_that_is_gone_is_a_lost_file",
    ),
    "D6": _by("a folder as the destination", "a_folder_as_the_file", "a_folder_or_a_pipe_is_not_replaced"),
    "D7": _by("links", "a_link_is_replaced_itself", "it_is_never_made_over_something_else"),
    "D8": _by("a folder that is swapped", "nothing_is_published_into_a_folder_that_was_swapped"),
    "D9": _by(
        "a file that appears before the rename",
        "a_name_that_appears_in_between_is_not_lost",
        "a_file_that_appears_meanwhile_is_met_as_was_asked",
    ),
    "D10": _by("a partial file that is deleted", "a_file_that_was_deleted_or_replaced_while_written_is_noticed"),
    "D11": _by(
        "a partial file that is cut",
        "a_file_of_another_length_is_noticed",
        "a_file_that_was_cut_is_noticed_before_its_length_is_right_again",
        "a_file_that_lost_durable_bytes_is_not_reopened",
    ),
    "D12": _by(
        "a partial file that is changed between runs",
        "another_file_in_place_of_the_partial_file_is_not_spliced",
        "a_partial_file_that_was_changed_under_us_is_no_complete_file",
    ),
    "D13": _by("a file that is moved afterwards", "a_finished_file_that_was_replaced_is_not_taken_for_the_download"),
    "D14": _by("power loss: unsynced bytes", "a_sample_of_the_losses_of_power_is_survived"),
    "D15": _by("power loss: names and bytes in any order", "a_sample_of_the_losses_of_power_is_survived"),
    "D16": _by("size is not progress", "a_crash_goes_on_from_the_last_record_and_not_from_the_file"),
    "D17": _by("long names", "a_long_name_keeps_its_extension", "a_name_that_just_fits_still_fits_with_a_number"),
    "D18": _by("case and normal forms", "one_destination_has_one_key_whatever_leads_to_it"),
    "D19": _by(
        "network file systems",
        "an_error_after_it_happened_is_no_error",
        "a_file_that_is_locked_for_too_long_is_replaced_by_memory_until_it_is_free",
        "a_file_that_moved_to_a_network_gives_up_its_log",
    ),
    "D20": _by(
        "another disk",
        "free_space_is_that_of_the_folder_that_will_hold_it",
        "a_file_of_any_size_arrives_whole_and_leaves_nothing_beside_it",
    ),
    "D21": Proof(
        "Windows: sharing violations, reserved names", reason="no Windows here; names are refused on every system"
    ),
    "D22": _by("any umask", "it_is_private_whatever_the_umask", "a_published_file_has_the_mode_that_any_new_file_has"),
    "D23": _by("very many files in the folder", "ten_thousand_taken_names_are_not_asked_one_by_one"),
    "P1": _by("SIGKILL at random times", "ten_kills_of_a_real_kernel_lose_nothing"),
    "P2": _by("SIGKILL at every system call", "a_sample_of_the_calls_is_survived"),
    "P3": _by("SIGKILL while recovering", "a_sample_of_the_calls_is_survived"),
    "P4": _by("a restart while a cell runs", "a_download_survives_a_busy_cell_and_the_death_of_its_kernel"),
    "P5": _by(
        "a kernel that starts before the other is dead",
        "a_new_kernel_gets_everything_within_seconds_of_the_end_of_the_old_one",
        "of_two_kernels_that_begin_at_once_each_operation_runs_in_one",
    ),
    "P6": _by("fork", "a_forked_child_is_inert", "a_forked_child_does_not_keep_its_dead_parent_alive"),
    "P7": _by(
        "an interrupted cell",
        "an_interrupt_ends_the_cell_and_not_the_place",
        "an_interrupted_wait_leaves_the_download_alone",
    ),
    "P8": _by(
        "loops that are closed or nested",
        "a_loop_that_its_owner_closed_is_reported",
        "awaiting_works_on_any_loop_twice_and_after_the_end",
    ),
    "P9": _by("callbacks that fail or hang", "an_observer_runs_off_the_engines_loop_and_may_fail"),
    "P10": _by(
        "errors inside",
        "a_failing_task_is_logged_by_name_and_stops_nothing",
        "an_exception_comes_back_with_the_place_where_it_was_raised",
    ),
    "P11": _by(
        "a task that exits",
        "a_task_that_exits_does_not_take_the_loop_along",
        "a_callback_that_stops_the_loop_does_not_stop_the_place",
    ),
    "P12": _by("a culled kernel", "what_waited_for_the_network_goes_on_in_the_next_kernel"),
    "P13": _by(
        "a module that is reloaded, or imported twice",
        "a_reload_or_a_second_import_finds_the_same_engine",
        "the_limits_belong_to_the_process",
    ),
    "P14": _by("the end of the interpreter", "the_interpreter_ends_soon_and_in_silence_whatever_a_transfer_does"),
    "P15": _by(
        "other versions of the state",
        "a_newer_file_is_read_and_not_touched",
        "a_newer_file_of_another_shape_is_not_touched_either",
    ),
    "P16": _by(
        "SIGTERM",
        "a_restart_puts_the_state_away_once_on_the_loop_of_the_downloads",
        "what_was_committed_before_a_kill_is_there_afterwards",
    ),
    "P17": _by(
        "no front end",
        "in_a_script_a_thread_runs_the_downloads",
        "a_run_without_a_person_is_denied_at_once_with_the_reason",
    ),
    "T1": _by(
        "a clock that jumps",
        "a_wall_clock_that_jumps_while_bytes_arrive_changes_nothing",
        "a_wrong_clock_steals_nothing",
        "a_clock_that_is_far_off_still_gives_a_name",
    ),
    "T2": _by("a clock that is wrong", "a_certificate_that_proves_nothing_is_rejected"),
    "T3": _by("a server with another clock", "retry_after_counts_from_the_servers_clock"),
    "T4": _by("a restart of the machine", "a_process_is_known_by_its_start", "every_row_comes_back_as_it_was"),
    "T5": _by("times in the state", "every_row_comes_back_as_it_was", "a_modification_time_is_in_utc"),
    "T6": _by("odd Last-Modified", "a_strange_last_modified_does_no_harm", "a_young_last_modified_is_no_validator"),
    "T7": _by("a very late attempt", "the_backoff_never_overflows"),
    "M1": _by(
        "two kernels, one state",
        "two_hundred_creations_of_each_of_two_kernels_are_all_there",
        "two_kernels_lose_nothing",
    ),
    "M2": _by("a dead owner", "a_killed_kernels_operations_are_taken_over_at_once"),
    "M3": _by("a number that is used again", "a_reused_process_number_is_not_the_kernel"),
    "M4": _by("locks that are dropped by hand", "the_file_is_not_opened_by_hand_while_it_is_in_use"),
    "M5": _by(
        "no locks",
        "a_pod_that_is_silent_for_a_minute_may_be_dead",
        "a_wrong_clock_steals_nothing",
        "a_kernel_that_was_silent_for_too_long_writes_nothing_when_it_is_back",
    ),
    "M6": _by("another user", "what_belongs_to_another_user_is_refused", "a_folder_that_others_write_to_is_refused"),
    "M7": _by("two spellings of a URI", "two_spellings_of_one_uri", "another_spelling_is_the_same_request"),
    "M8": _by("another body", "another_body_is_another_request", "method_and_body_belong_to_the_identity"),
    "M9": _by(
        "one destination twice",
        "one_destination_is_written_by_one_operation_or_another_name_is_chosen",
        "a_link_and_its_target_are_two_destinations",
    ),
    "M10": _by("one URI in two groups", "of_another_group_a_duplicate_says_only_that_there_is_one"),
    "M11": _by(
        "a serial group whose first waits",
        "a_serial_group_runs_one_and_high_ones_beside_it",
        "a_host_that_asks_for_time_is_left_alone_while_others_go_on",
    ),
    "M12": _by("a stopped owner", "a_stopped_kernel_is_alive_and_keeps_what_it_has"),
    "U1": _by(
        "names of a server",
        "no_suggested_name_leaves_its_folder",
        "every_suggested_name_becomes_one_that_can_be_used_everywhere",
    ),
    "U2": _by("names of a path", "a_uri_gives_the_last_component_of_its_path_decoded_once"),
    "U3": _by("devices and pipes", "a_destination_below_a_file_or_on_a_device", "a_folder_or_a_pipe_is_not_replaced"),
    "U4": _by("taken names", "ten_thousand_taken_names_are_not_asked_one_by_one", "the_next_free_name_is_chosen"),
    "U5": _by("headers", "a_header_that_cannot_be_sent_or_is_ours"),
    "U6": _by("URIs", "an_unusable_uri", "any_text_is_a_uri_or_refused"),
    "U7": _by("bodies", "what_gives_no_bytes_is_refused_and_nothing_is_kept", "a_spooled_body_is_sent_after_a_restart"),
    "U8": _by("digests", "what_cannot_be_a_checksum_is_refused_at_once", "any_text_is_a_checksum_or_refused"),
    "U9": _by(
        "very many steps",
        "a_thousand_creations_from_several_threads_are_all_there",
        "each_step_is_taken_before_the_call_returns_or_refused_with_what_is_allowed",
    ),
    "U10": _by(
        "any bytes in the state file",
        "a_file_cut_off_anywhere_is_survived",
        "flipped_bits_are_survived",
        "any_text_is_a_record_or_refused",
    ),
    "U11": _by(
        "a state that was edited",
        "a_state_that_names_a_users_file_deletes_nothing",
        "nothing_is_taken_over_that_is_not_the_recorded_file",
    ),
    "U12": _by("names that are not UTF-8", "names_that_are_not_utf_8_come_back"),
    "U13": _by("limits that are none", "an_option_of_a_wrong_value"),
    "J1": _by(
        "hostile names",
        "hostile_names_are_shown_as_text",
        "the_name_of_a_file_is_never_markup",
        "a_hostile_name_is_text",
    ),
    "J2": _by(
        "very many ends at once", "five_hundred_downloads_end_in_one_toast", "many_events_of_one_operation_are_one_look"
    ),
    "J3": _by("very many updates", "a_kernel_with_a_thousand_live_downloads_sends_fewer_than_twenty_messages_a_second"),
    "J4": _by("very many rows", "ten_thousand_downloads_draw_what_is_in_sight_and_hold_up_no_cell"),
    "J5": _by(
        "pages that come and go",
        "two_browsers_show_and_pause_the_same_download",
        "an_alert_is_not_shown_again_after_a_reload",
    ),
    "J6": _by("junk on the comm", "junk_is_refused_and_breaks_nothing", "junk_is_counted_and_nothing_happens"),
    "J7": _by("saved notebooks", "a_secret_is_sent_and_found_nowhere_else"),
    "J8": _by("saved output", "whoever_has_no_kernel_sees_a_table_and_whoever_has_no_page_a_text"),
    "J9": _by("output in the wrong cell", "a_failure_is_shown_and_written_into_no_cell"),
    "J10": _by(
        "no lab extension", "the_panel_is_shown_and_its_buttons_work", "a_terminal_has_the_magics_and_no_widgets"
    ),
}

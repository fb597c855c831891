-- Where each table of Rowlock lies on a Citus cluster. Read docs/deployment.md, "Citus", first: it says what this is good
-- for today and what still stands against it.
--
-- Run it once, as the owner of the tables, on the coordinator, after `rowlock migrate` and before anything is sold:
--
--   psql "$ROWLOCK_DATABASE_URL" --single-transaction -v ON_ERROR_STOP=1 -f deploy/citus/distribute.sql
--
-- Before that, in the same database:  CREATE EXTENSION citus;  SELECT citus_set_coordinator_host('…');
-- SELECT citus_add_node('…', 5432);  for each node.
--
-- The rule: what belongs to a performance lies where that performance lies, so that a batch of the seat ledger touches one
-- node; what all performances share is small and is copied to every node; what no sale needs stays on the coordinator.
-- tests/contract/test_deployment_citus.py holds this file against the tables as they are: every one is named once, keys and
-- unique constraints of distributed tables have the performance in them, and foreign keys lead where Citus lets them.

-- Triggers write the change log and guard what is append-only (migrations 0001, 0003, 0007, 0010 and 0011). They stay within the
-- rows of one performance, which Citus cannot know.
SET citus.enable_unsafe_triggers = on;

-- -- On every node ------------------------------------------------------------------------------------------------------
-- The catalogue and who people are: read by every booking, written now and then.

SELECT create_reference_table('users');
SELECT create_reference_table('categories');
SELECT create_reference_table('venues');
SELECT create_reference_table('seat_maps');
SELECT create_reference_table('seat_map_versions');
SELECT create_reference_table('events');
SELECT create_reference_table('performances');
SELECT create_reference_table('webhook_endpoints');

-- -- With their performance ---------------------------------------------------------------------------------------------

-- What is sold: the ledger's own.
SELECT create_distributed_table('inventories', 'performance_id', colocate_with => 'none');
SELECT create_distributed_table('seats', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('bookings', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('quotas', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('command_log', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('seat_changes', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('ticket_types', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('allocations', 'performance_id', colocate_with => 'inventories');

-- What was sold, and who came.
SELECT create_distributed_table('tickets', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('check_ins', 'performance_id', colocate_with => 'inventories');

-- The line before it.
SELECT create_distributed_table('waiting_rooms', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('queue_entries', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('admission_cycles', 'performance_id', colocate_with => 'inventories');

-- What was paid, and what it was paid for: a booking is confirmed in one transaction with its payment and its entry.
SELECT create_distributed_table('payments', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('refunds', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('book_entries', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('till_entries', 'performance_id', colocate_with => 'inventories');

-- What was told of it: written in the transaction that it is about.
SELECT create_distributed_table('notifications', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('announcements', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('changes', 'performance_id', colocate_with => 'inventories');
SELECT create_distributed_table('webhook_lanes', 'performance_id', colocate_with => 'inventories');

-- -- On the coordinator -------------------------------------------------------------------------------------------------
-- Who is signed in, what was asked twice, what staff did, what providers said, what the house says of itself.

SELECT citus_add_local_table_to_metadata('sessions');
SELECT citus_add_local_table_to_metadata('refresh_tokens');
SELECT citus_add_local_table_to_metadata('account_codes');
SELECT citus_add_local_table_to_metadata('api_keys');
SELECT citus_add_local_table_to_metadata('key_uses');
SELECT citus_add_local_table_to_metadata('key_charges');
SELECT citus_add_local_table_to_metadata('signing_keys');
SELECT citus_add_local_table_to_metadata('request_results');
SELECT citus_add_local_table_to_metadata('staff_actions');
SELECT citus_add_local_table_to_metadata('provider_webhooks');
SELECT citus_add_local_table_to_metadata('webhook_deliveries');
SELECT citus_add_local_table_to_metadata('change_sequence');
SELECT citus_add_local_table_to_metadata('refund_paces');
SELECT citus_add_local_table_to_metadata('shifts');
SELECT citus_add_local_table_to_metadata('simulator_orders');
SELECT citus_add_local_table_to_metadata('simulator_refunds');
SELECT citus_add_local_table_to_metadata('simulator_scripts');
SELECT citus_add_local_table_to_metadata('inquiries');
SELECT citus_add_local_table_to_metadata('contact_info');
SELECT citus_add_local_table_to_metadata('social_links');

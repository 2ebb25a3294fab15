"""The SQL of the audit trail: one trigger function for every tracked table, and the guard that keeps what it wrote.

`accounts_audit_track(table, kind, ignored, hidden)` puts a table under the trail; any migration may call it. `ignored`
columns make no entry of their own (a time of last use), `hidden` ones are seen to have changed, never what they hold.
A column whose name speaks of a secret is hidden without being told.
"""

FUNCTIONS = r"""
CREATE FUNCTION accounts_audit_hide(facts jsonb, hidden text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(
        key,
        CASE WHEN jsonb_typeof(value) NOT IN ('boolean', 'null')
              AND (key = ANY(hidden) OR key ~* '(password|secret|hash|token|private|mnemonic|cipher|recovery|jti)')
             THEN '"[hidden]"'::jsonb ELSE value END)
    FROM jsonb_each(facts)
$$;

CREATE FUNCTION accounts_audit_workspace(kind text, facts jsonb) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF kind = 'admin_action' THEN
        RETURN NULL;
    ELSIF facts ? 'workspace_id' THEN
        RETURN (facts->>'workspace_id')::uuid;
    ELSIF kind = 'workspace' THEN
        RETURN (facts->>'id')::uuid;
    ELSIF facts ? 'membership_id' THEN
        RETURN (SELECT workspace_id FROM accounts_membership WHERE id = (facts->>'membership_id')::bigint);
    ELSIF facts ? 'agent_id' THEN
        RETURN (SELECT workspace_id FROM agents_agent WHERE id = (facts->>'agent_id')::uuid);
    END IF;
    RETURN (SELECT workspace_id FROM accounts_membership
            WHERE user_id = (CASE WHEN kind = 'user' THEN facts->>'id' ELSE facts->>'user_id' END)::uuid
            ORDER BY id LIMIT 1);
END
$$;

CREATE FUNCTION accounts_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text := TG_ARGV[0];
    ignored text[] := string_to_array(TG_ARGV[1], ',');
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    who jsonb := coalesce(nullif(current_setting('nexgent.audit', true), ''), '{}')::jsonb;
    was jsonb := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) - ignored END;
    becomes jsonb := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) - ignored END;
    facts jsonb := coalesce(becomes, was);
    agent uuid := CASE WHEN kind = 'agent' THEN (facts->>'id')::uuid ELSE (facts->>'agent_id')::uuid END;
BEGIN
    IF was = becomes THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(b.key, b.value), jsonb_object_agg(b.key, a.value) INTO was, becomes
        FROM jsonb_each(was) b JOIN jsonb_each(becomes) a USING (key) WHERE a.value <> b.value;
    ELSIF kind = 'config' AND TG_OP = 'INSERT' THEN
        SELECT jsonb_build_object('number', v.number, 'data', v.data) INTO was FROM agents_configversion v
        WHERE v.agent_id = agent AND v.number < (facts->>'number')::int ORDER BY v.number DESC LIMIT 1;
    ELSIF kind = 'admin_action' THEN
        becomes := becomes || jsonb_build_object(
            'model', (SELECT app_label || '.' || model FROM django_content_type
                      WHERE id = (facts->>'content_type_id')::int));
    END IF;
    INSERT INTO accounts_auditentry (at, workspace_id, agent_id, kind, object_id, action, actor_kind, actor_id, actor,
                                     address, client, request_id, route, before, after)
    VALUES (clock_timestamp(), accounts_audit_workspace(kind, facts), agent, kind,
            CASE WHEN kind = 'admin_action' THEN coalesce(facts->>'object_id', '') ELSE facts->>'id' END,
            CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END,
            coalesce(who->>'kind', 'database'), (who->>'id')::uuid,
            coalesce(who->>'actor', left(session_user || ' ' || current_setting('application_name'), 255)),
            coalesce(who->>'address', host(inet_client_addr()), 'local'),
            coalesce(who->>'client', ''), coalesce(who->>'requestId', ''), coalesce(who->>'route', ''),
            accounts_audit_hide(was, hidden), accounts_audit_hide(becomes, hidden));
    RETURN NULL;
END
$$;

CREATE FUNCTION accounts_audit_track(tracked regclass, kind text, ignored text DEFAULT '', hidden text DEFAULT '',
                                     events text DEFAULT 'INSERT OR UPDATE OR DELETE')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS audit ON %s', tracked);
    EXECUTE format('CREATE TRIGGER audit AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION accounts_audit(%L, %L, %L)',
                   events, tracked, kind, ignored, hidden);
END
$$;

CREATE FUNCTION accounts_audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_kept();
CREATE TRIGGER audit_not_truncated BEFORE TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_audit_kept();
"""

NO_FUNCTIONS = """
DROP TRIGGER audit_kept ON accounts_auditentry;
DROP TRIGGER audit_not_truncated ON accounts_auditentry;
DROP FUNCTION accounts_audit_kept();
DROP FUNCTION accounts_audit_track(regclass, text, text, text, text);
DROP FUNCTION accounts_audit() CASCADE;
DROP FUNCTION accounts_audit_workspace(text, jsonb);
DROP FUNCTION accounts_audit_hide(jsonb, text[]);
"""

TRACK = """
SELECT accounts_audit_track('accounts_user', 'user', 'last_login');
SELECT accounts_audit_track('accounts_user_groups', 'user_group');
SELECT accounts_audit_track('accounts_user_user_permissions', 'user_permission');
SELECT accounts_audit_track('accounts_workspace', 'workspace');
SELECT accounts_audit_track('accounts_membership', 'membership');
SELECT accounts_audit_track('accounts_agentgrant', 'grant');
SELECT accounts_audit_track('accounts_apikey', 'api_key', 'last_used_at,last_used_address');
SELECT accounts_audit_track('agents_agent', 'agent', 'policy_version,updated_at,config_id');
SELECT accounts_audit_track('agents_configversion', 'config');
SELECT accounts_audit_track('agents_assignment', 'assignment');
SELECT accounts_audit_track('wallets_wallet', 'wallet', 'updated_at');
SELECT accounts_audit_track('trading_protectionlock', 'protection', events => 'UPDATE');
SELECT accounts_audit_track('django_admin_log', 'admin_action');
"""

-- How well a Prism object is, for Argo CD: the same for PrismStack, PrismPattern, PrismBackend and
-- PrismNamespace, since all of them have kstatus' conditions.
local function assess(status, generation)
  local conditions = {}
  for _, condition in ipairs(status.conditions or {}) do
    if condition.status == "True" or condition.type == "Ready" then
      conditions[condition.type] = condition
    end
  end
  local ready = conditions.Ready
  if ready == nil or status.observedGeneration ~= generation then
    return "Progressing", "waiting for the operator to see this generation"
  end
  if conditions.Paused ~= nil then
    return "Suspended", conditions.Paused.message
  end
  if conditions.Stalled ~= nil then
    return "Degraded", conditions.Stalled.message
  end
  -- Unknown with nothing under way: not checked here, and waiting would not change that.
  local settled = ready.status == "Unknown" and conditions.Reconciling == nil
  if ready.status == "True" or settled then
    return "Healthy", ready.message
  end
  -- A rollout may lack replicas for a while; without one, something was lost.
  if conditions.Degraded ~= nil and conditions.Progressing == nil then
    return "Degraded", conditions.Degraded.message
  end
  return "Progressing", ready.message
end

local hs = {}
if obj.metadata.deletionTimestamp ~= nil then
  hs.status, hs.message = "Progressing", "being deleted"
else
  hs.status, hs.message = assess(obj.status or {}, obj.metadata.generation)
end
return hs
